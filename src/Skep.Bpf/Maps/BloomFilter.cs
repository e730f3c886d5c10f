using System.Runtime.InteropServices;
using Skep.Bpf.Programming;

namespace Skep.Bpf.Maps;

/// <summary>
/// A set that may say yes wrongly, never no (<c>BPF_MAP_TYPE_BLOOM_FILTER</c>, kernel 5.16). Values cannot be removed or listed. Which values
/// collide is the engine's own: the twin has other false positives than the kernel, as one kernel map has others than the next.
/// </summary>
/// <typeparam name="T">Value struct; padding counts as part of the value.</typeparam>
public sealed unsafe class BloomFilter<T> : KeylessMap<T>
    where T : unmanaged
{
    /// <summary>Describes a filter for about <paramref name="expected"/> values.</summary>
    /// <param name="expected">Values for which the rate of false positives is as designed; more may be added.</param>
    /// <param name="hashes">Hash functions, 1 to 15: five give about 2 wrong answers in 100, more give fewer and take longer.</param>
    /// <param name="name">Name of the map.</param>
    public BloomFilter(uint expected, int hashes = 5, string? name = null)
        : base(MapKind.BloomFilter, expected, MapFlags.None, name)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(hashes, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(hashes, 15);
        Hashes = hashes;
    }

    /// <summary>Hash functions.</summary>
    public int Hashes { get; }

    internal override ulong CreationExtra => (ulong)Hashes;

    /// <summary>Program side: whether the value may have been added; false is certain.</summary>
    public bool MayContain(in T value) => Look(in value) == 0;

    /// <summary>Program side: 0 when the value may have been added, else -ENOENT (<c>bpf_map_peek_elem</c>).</summary>
    [KernelHelper(89, Since = "5.16")]
    public int Look(in T value)
    {
        fixed (T* v = &value)
        {
            return Storage.Peek((byte*)v);
        }
    }

    /// <summary>User side: adds a value.</summary>
    /// <exception cref="BpfException">The kernel refused.</exception>
    public void Add(in T value)
    {
        var status = Add(in value, UpdateMode.Any);
        if (status < 0)
        {
            throw BpfException.ForMap(this, "push", status);
        }
    }

    /// <summary>User side: whether the value may have been added; false is certain.</summary>
    /// <exception cref="BpfException">The kernel refused.</exception>
    public bool Contains(in T value)
    {
        // The kernel takes the value for the question, and writes nothing back.
        var question = value;
        return Found(Storage.Read(default, MemoryMarshal.AsBytes(new Span<T>(ref question))), "lookup");
    }
}
