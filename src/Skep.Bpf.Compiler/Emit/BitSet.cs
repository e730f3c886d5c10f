using System.Numerics;

namespace Skep.Bpf.Compiler.Emit;

/// <summary>A dense set of small integers.</summary>
internal sealed class BitSet(int capacity)
{
    private readonly ulong[] _words = new ulong[(capacity + 63) / 64];

    public BitSet(BitSet other)
        : this(other, other.Capacity)
    {
    }

    /// <summary>A copy that has room for more.</summary>
    public BitSet(BitSet other, int capacity)
        : this(capacity) => other._words.CopyTo(_words, 0);

    /// <summary>All numbers below it may be added.</summary>
    public int Capacity => _words.Length * 64;

    /// <summary>True when it was not there.</summary>
    public bool Add(int i)
    {
        ref var word = ref _words[i >> 6];
        var before = word;
        word |= 1UL << i;
        return word != before;
    }

    /// <summary>True when it was there.</summary>
    public bool Remove(int i)
    {
        ref var word = ref _words[i >> 6];
        var before = word;
        word &= ~(1UL << i);
        return word != before;
    }

    public bool Contains(int i) => (_words[i >> 6] >> i & 1) != 0;

    /// <summary>The smallest, or -1 when the set is empty.</summary>
    public int First()
    {
        for (var i = 0; i < _words.Length; i++)
        {
            if (_words[i] != 0)
            {
                return (i << 6) + BitOperations.TrailingZeroCount(_words[i]);
            }
        }

        return -1;
    }

    /// <summary>True when that added anything.</summary>
    public bool UnionWith(BitSet other)
    {
        ulong added = 0;
        for (var i = 0; i < _words.Length; i++)
        {
            added |= other._words[i] & ~_words[i];
            _words[i] |= other._words[i];
        }

        return added != 0;
    }

    /// <summary>this = a or (b without c); true when that changed it.</summary>
    public bool Assign(BitSet a, BitSet b, BitSet c)
    {
        var changed = false;
        for (var i = 0; i < _words.Length; i++)
        {
            var word = a._words[i] | (b._words[i] & ~c._words[i]);
            changed |= word != _words[i];
            _words[i] = word;
        }

        return changed;
    }

    /// <summary>Leaves what is in the other set too.</summary>
    public void IntersectWith(BitSet other)
    {
        for (var i = 0; i < _words.Length; i++)
        {
            _words[i] &= other._words[i];
        }
    }

    /// <summary>Takes over the contents of a set of the same capacity.</summary>
    public void CopyFrom(BitSet other) => other._words.CopyTo(_words, 0);

    public void Clear() => Array.Clear(_words);

    public bool SequenceEqual(BitSet other) => _words.AsSpan().SequenceEqual(other._words);

    /// <summary>Whether any of the numbers from <paramref name="start"/> up to but not including <paramref name="end"/> is there.</summary>
    public bool ContainsAny(int start, int end)
    {
        for (var i = start; i < end; i++)
        {
            if (Contains(i))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Adds or removes the numbers from <paramref name="start"/> up to but not including <paramref name="end"/>.</summary>
    public void Set(int start, int end, bool isIn)
    {
        for (var i = start; i < end; i++)
        {
            _ = isIn ? Add(i) : Remove(i);
        }
    }

    /// <summary>The numbers in ascending order; the set may lose the one that is looked at meanwhile.</summary>
    public Enumerator GetEnumerator() => new(_words);

    /// <summary>Goes through a set without an allocation.</summary>
    public struct Enumerator(ulong[] words)
    {
        private int _index = -1;
        private ulong _word;

        public int Current { get; private set; }

        public bool MoveNext()
        {
            while (_word == 0)
            {
                if (++_index >= words.Length)
                {
                    return false;
                }

                _word = words[_index];
            }

            Current = (_index << 6) + BitOperations.TrailingZeroCount(_word);
            _word &= _word - 1;
            return true;
        }
    }
}
