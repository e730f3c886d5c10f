using System.Numerics;

namespace Skep.Bpf.Compiler.Emit;

/// <summary>A <see cref="BitSet"/> of many numbers few of which are there: a second layer says which words of the first have any.</summary>
internal sealed class LayeredSet
{
    private readonly ulong[] _words;
    private readonly ulong[] _filled;

    public LayeredSet(int capacity)
    {
        _words = new ulong[(capacity + 63) / 64];
        _filled = new ulong[(_words.Length + 63) / 64];
    }

    /// <summary>True when it was not there.</summary>
    public bool Add(int i)
    {
        ref var word = ref _words[i >> 6];
        var before = word;
        word |= 1UL << i;
        _filled[i >> 12] |= 1UL << (i >> 6);
        return word != before;
    }

    /// <summary>True when it was there.</summary>
    public bool Remove(int i)
    {
        ref var word = ref _words[i >> 6];
        var before = word;
        word &= ~(1UL << i);
        if (word == 0)
        {
            _filled[i >> 12] &= ~(1UL << (i >> 6));
        }

        return word != before;
    }

    public bool Contains(int i) => (_words[i >> 6] >> i & 1) != 0;

    /// <summary>The smallest, or -1 when the set is empty.</summary>
    public int First()
    {
        for (var i = 0; i < _filled.Length; i++)
        {
            if (_filled[i] != 0)
            {
                var word = (i << 6) + BitOperations.TrailingZeroCount(_filled[i]);
                return (word << 6) + BitOperations.TrailingZeroCount(_words[word]);
            }
        }

        return -1;
    }

    /// <summary>Empties the set, with a word of work for each that has any.</summary>
    public void Clear()
    {
        for (var i = 0; i < _filled.Length; i++)
        {
            for (; _filled[i] != 0; _filled[i] &= _filled[i] - 1)
            {
                _words[(i << 6) + BitOperations.TrailingZeroCount(_filled[i])] = 0;
            }
        }
    }

    /// <summary>The numbers in ascending order; the set may lose the one that is looked at meanwhile.</summary>
    public Enumerator GetEnumerator() => new(_words, _filled);

    /// <summary>Goes through a set without an allocation.</summary>
    public struct Enumerator(ulong[] words, ulong[] filled)
    {
        private int _layer = -1;
        private int _index;
        private ulong _left;
        private ulong _word;

        public int Current { get; private set; }

        public bool MoveNext()
        {
            while (_word == 0)
            {
                while (_left == 0)
                {
                    if (++_layer >= filled.Length)
                    {
                        return false;
                    }

                    _left = filled[_layer];
                }

                _index = (_layer << 6) + BitOperations.TrailingZeroCount(_left);
                _left &= _left - 1;
                _word = words[_index];
            }

            Current = (_index << 6) + BitOperations.TrailingZeroCount(_word);
            _word &= _word - 1;
            return true;
        }
    }
}
