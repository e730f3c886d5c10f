using System.Runtime.CompilerServices;
using System.Text;

namespace Skep.Bpf.Btf;

/// <summary>Finding types by name: an index over all names is made once, when the first is asked for.</summary>
public sealed unsafe partial class BtfFile
{
    // Names are told apart by their beginning: strings may overlap in damaged input, so that hashing whole ones could take forever.
    private const int HashedLength = 48;

    // Not the same in every process, so that nobody can choose names that all fall into one bucket.
    private static readonly uint s_seed = (uint)Random.Shared.NextInt64();

    private readonly Lazy<(int[] Heads, int[] Next)> _names;

    /// <summary>Number of the type with that name and kind, or null. Types without a name cannot be found.</summary>
    public uint? Find(string name, BtfKind kind)
    {
        ArgumentNullException.ThrowIfNull(name);
        foreach (var id in Named(name))
        {
            if (KindOf(Record(id)[1]) == kind)
            {
                return id;
            }
        }

        return _base?.Find(name, kind);
    }

    /// <summary>Numbers of all types of that name and one of the kinds, those of the base not counted; in ascending order.</summary>
    internal List<uint> FindAll(string name, params ReadOnlySpan<BtfKind> kinds)
    {
        var result = new List<uint>();
        foreach (var id in Named(name))
        {
            if (kinds.Contains(KindOf(Record(id)[1])))
            {
                result.Add(id);
            }
        }

        return result;
    }

    private List<uint> Named(string name)
    {
        var result = new List<uint>();
        if (name.Length == 0)
        {
            return result;
        }

        var encoded = Encoding.UTF8.GetBytes(name);
        var (heads, next) = _names.Value;
        for (var at = heads[Hash(encoded) & (uint)(heads.Length - 1)]; at != 0; at = next[at])
        {
            var id = _firstId + (uint)at - 1;
            if (NameIs(Record(id)[0], encoded))
            {
                result.Add(id);
            }
        }

        return result;
    }

    // Optimised at once: it runs a single time, over all types of a kernel.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private (int[] Heads, int[] Next) IndexNames()
    {
        var own = _count - (int)_firstId;
        var heads = new int[System.Numerics.BitOperations.RoundUpToPowerOf2((uint)Math.Max(own, 16))];
        var next = new int[own + 1];

        // Backwards, so that each chain has its types in ascending order.
        for (var at = own; at > 0; at--)
        {
            var name = Record(_firstId + (uint)at - 1)[0];
            if (name != 0 && TryStringAt(name, out var tail) && tail[0] != 0)
            {
                var beginning = tail[..Math.Min(tail.Length, HashedLength)];
                var end = beginning.IndexOf((byte)0);
                ref var head = ref heads[Hash(end < 0 ? beginning : beginning[..end]) & (uint)(heads.Length - 1)];
                next[at] = head;
                head = at;
            }
        }

        return (heads, next);
    }

    private static uint Hash(ReadOnlySpan<byte> name)
    {
        var hash = s_seed;
        foreach (var letter in name[..Math.Min(name.Length, HashedLength)])
        {
            hash = (hash ^ letter) * 16777619;
        }

        return hash ^ (hash >> 15);
    }
}
