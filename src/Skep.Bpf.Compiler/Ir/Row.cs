using System.Collections;
using System.Runtime.CompilerServices;

namespace Skep.Bpf.Compiler.Ir;

/// <summary>
/// A list that grows. The framework's own is serviced apart from us, so that in code that is compiled ahead of time each look at an element is a call through
/// a stub; these are inlined, and the passes do little else.
/// </summary>
internal sealed class Row<T> : IReadOnlyList<T>
{
    private T[] _items;
    private int _count;

    public Row() => _items = [];

    public Row(int capacity) => _items = new T[capacity];

    public int Count
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => _count;
    }

    public T this[int index]
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get
        {
            Check(index, _count);
            return _items[index];
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        set
        {
            Check(index, _count);
            _items[index] = value;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Add(T item)
    {
        if (_count == _items.Length)
        {
            Grow(_count + 1);
        }

        _items[_count++] = item;
    }

    public void AddRange(Row<T> items) => AddRange(items.AsSpan());

    public void AddRange(ReadOnlySpan<T> items)
    {
        Grow(_count + items.Length);
        items.CopyTo(_items.AsSpan(_count));
        _count += items.Length;
    }

    public void Insert(int index, T item)
    {
        Check(index, _count + 1);
        Grow(_count + 1);
        Array.Copy(_items, index, _items, index + 1, _count - index);
        _items[index] = item;
        _count++;
    }

    public void InsertRange(int index, IReadOnlyCollection<T> items)
    {
        Check(index, _count + 1);
        Grow(_count + items.Count);
        Array.Copy(_items, index, _items, index + items.Count, _count - index);
        _count += items.Count;
        foreach (var item in items)
        {
            _items[index++] = item;
        }
    }

    public void RemoveAt(int index) => RemoveRange(index, 1);

    public void RemoveRange(int index, int count)
    {
        Check(index, _count + 1);
        Check(count, _count - index + 1);
        Array.Copy(_items, index + count, _items, index, _count - index - count);
        _count -= count;
        Array.Clear(_items, _count, count);
    }

    /// <summary>True when it was there.</summary>
    public bool Remove(T item)
    {
        var index = IndexOf(item);
        if (index >= 0)
        {
            RemoveAt(index);
        }

        return index >= 0;
    }

    /// <summary>How many were removed.</summary>
    public int RemoveAll(Func<T, bool> isUnwanted)
    {
        var kept = 0;
        for (var i = 0; i < _count; i++)
        {
            var item = _items[i];
            if (!isUnwanted(item))
            {
                if (kept != i)
                {
                    _items[kept] = item;
                }

                kept++;
            }
        }

        var removed = _count - kept;
        Array.Clear(_items, kept, removed);
        _count = kept;
        return removed;
    }

    public void Clear()
    {
        Array.Clear(_items, 0, _count);
        _count = 0;
    }

    public void Reverse() => Array.Reverse(_items, 0, _count);

    /// <summary>Where the element stands, objects by identity; -1 when it does not.</summary>
    public int IndexOf(T item)
    {
        for (var i = 0; i < _count; i++)
        {
            if (typeof(T).IsValueType ? EqualityComparer<T>.Default.Equals(_items[i], item) : ReferenceEquals(_items[i], item))
            {
                return i;
            }
        }

        return -1;
    }

    public bool Contains(T item) => IndexOf(item) >= 0;

    public bool Exists(Func<T, bool> isWanted)
    {
        for (var i = 0; i < _count; i++)
        {
            if (isWanted(_items[i]))
            {
                return true;
            }
        }

        return false;
    }

    public bool TrueForAll(Func<T, bool> holds)
    {
        for (var i = 0; i < _count; i++)
        {
            if (!holds(_items[i]))
            {
                return false;
            }
        }

        return true;
    }

    public T? FindLast(Func<T, bool> isWanted)
    {
        for (var i = _count - 1; i >= 0; i--)
        {
            if (isWanted(_items[i]))
            {
                return _items[i];
            }
        }

        return default;
    }

    public List<TOther> ConvertAll<TOther>(Func<T, TOther> convert)
    {
        var all = new List<TOther>(_count);
        for (var i = 0; i < _count; i++)
        {
            all.Add(convert(_items[i]));
        }

        return all;
    }

    public T[] ToArray() => AsSpan().ToArray();

    public ReadOnlySpan<T> AsSpan() => new(_items, 0, _count);

    public Enumerator GetEnumerator() => new(this);

    IEnumerator<T> IEnumerable<T>.GetEnumerator()
    {
        for (var i = 0; i < _count; i++)
        {
            yield return _items[i];
        }
    }

    IEnumerator IEnumerable.GetEnumerator() => ((IEnumerable<T>)this).GetEnumerator();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Check(int index, int count)
    {
        if ((uint)index >= (uint)count)
        {
            Throw(index, count);
        }
    }

    private static void Throw(int index, int count) => throw new ArgumentOutOfRangeException(nameof(index), index, $"there are {count}");

    private void Grow(int count)
    {
        const int Fewest = 4;
        if (count > _items.Length)
        {
            Array.Resize(ref _items, Math.Max(count, Math.Max(Fewest, _items.Length * 2)));
        }
    }

    /// <summary>Goes through the elements, those too that are added meanwhile.</summary>
    internal struct Enumerator(Row<T> row)
    {
        private int _index = -1;

        public readonly T Current => row._items[_index];

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public bool MoveNext() => ++_index < row._count;
    }
}
