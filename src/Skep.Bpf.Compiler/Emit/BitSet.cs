using System.Numerics;

namespace Skep.Bpf.Compiler.Emit;

/// <summary>A dense set of small integers.</summary>
internal sealed class BitSet(int capacity)
{
    private readonly ulong[] _words = new ulong[(capacity + 63) / 64];

    public BitSet(BitSet other)
        : this(other._words.Length * 64) => other._words.CopyTo(_words, 0);

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

    public IEnumerable<int> Items()
    {
        for (var i = 0; i < _words.Length; i++)
        {
            for (var word = _words[i]; word != 0; word &= word - 1)
            {
                yield return (i << 6) + BitOperations.TrailingZeroCount(word);
            }
        }
    }
}
