namespace Skep.Bpf.Compiler.Emit;

/// <summary>
/// A set of small integers that is gone through in an order that depends on what was added and removed alone: what is added takes the place that was given
/// up last, or the next new one.
/// </summary>
internal sealed class OrderedSet
{
    private readonly List<int> _items = [];
    private readonly Stack<int> _free = new();
    private int[] _places = [];
    private BitSet _taken = new(0);

    public int Count { get; private set; }

    /// <summary>True when it was not there.</summary>
    public bool Add(int item)
    {
        if (item >= _places.Length)
        {
            Array.Resize(ref _places, Math.Max(item + 1, _places.Length * 2));
        }

        if (_places[item] != 0)
        {
            return false;
        }

        if (_free.TryPop(out var place))
        {
            _items[place] = item;
        }
        else
        {
            place = _items.Count;
            _items.Add(item);
            if (place >= _taken.Capacity)
            {
                _taken = new BitSet(_taken, Math.Max(64, _taken.Capacity * 2));
            }
        }

        _places[item] = place + 1;
        _taken.Add(place);
        Count++;
        return true;
    }

    /// <summary>True when it was there.</summary>
    public bool Remove(int item)
    {
        if (!Contains(item))
        {
            return false;
        }

        var place = _places[item] - 1;
        _places[item] = 0;
        _taken.Remove(place);
        _free.Push(place);
        Count--;
        return true;
    }

    public bool Contains(int item) => item < _places.Length && _places[item] != 0;

    /// <summary>The one in the first place; there must be one.</summary>
    public int First() => _items[_taken.First()];

    public Enumerator GetEnumerator() => new(_items, _taken.GetEnumerator());

    /// <summary>Goes through the places in order.</summary>
    public struct Enumerator(List<int> items, BitSet.Enumerator places)
    {
        private BitSet.Enumerator _places = places;

        public readonly int Current => items[_places.Current];

        public bool MoveNext() => _places.MoveNext();
    }
}
