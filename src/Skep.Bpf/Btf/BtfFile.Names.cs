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
        ObjectDisposedException.ThrowIf(_memory.IsClosed, this);
        var own = _count - (int)_firstId;
        var heads = new int[System.Numerics.BitOperations.RoundUpToPowerOf2((uint)Math.Max(own, 16))];
        var next = new int[own + 1];

        // Backwards, so that each chain has its types in ascending order.
        for (var at = own; at > 0; at--)
        {
            // SAFETY: Index checked that every record noted lies in the type section; the memory was open at the beginning and is kept alive.
            var name = *(uint*)(_types + _offsets[at]);
            if (name == 0 || !TryBeginningAt(name, out var beginning))
            {
                continue;
            }

            var end = beginning.IndexOf((byte)0);
            if (end != 0)
            {
                ref var head = ref heads[Hash(end < 0 ? beginning : beginning[..end]) & (uint)(heads.Length - 1)];
                next[at] = head;
                head = at;
            }
        }

        GC.KeepAlive(_memory);
        return (heads, next);
    }

    /// <summary>As much of the string at an offset as names are told apart by, and what may follow it.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private bool TryBeginningAt(uint offset, out ReadOnlySpan<byte> beginning)
    {
        var at = offset - _firstString;
        if (offset >= _firstString && at < (uint)_stringsLength)
        {
            beginning = new ReadOnlySpan<byte>(_strings + at, Math.Min(_stringsLength - (int)at, HashedLength));
            return true;
        }

        // The name of a module's type may be a string of the kernel.
        var found = TryStringAt(offset, out var tail);
        beginning = tail[..Math.Min(tail.Length, HashedLength)];
        return found;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
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
