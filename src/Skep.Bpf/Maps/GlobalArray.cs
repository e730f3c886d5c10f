using System.Runtime.CompilerServices;
using Skep.Bpf.Programming;

namespace Skep.Bpf.Maps;

/// <summary>
/// Variables of one type side by side, shared by programs and process: an array map of one entry that holds them all (kernel 5.5; there and up to 5.15 at most 4 MiB). A program
/// reaches each by adding to a constant address, where <see cref="ArrayMap{TValue}"/> takes a number on the stack and a lookup; but it cannot be walked, nor read by numbers
/// through the kernel.
/// </summary>
public sealed unsafe class GlobalArray<T> : BpfMap
    where T : unmanaged
{
    private readonly uint _count;

    /// <summary>Describes <paramref name="count"/> variables, zero at first.</summary>
    public GlobalArray(uint count, string? name = null)
        : base(MapKind.Array, sizeof(uint), checked((int)(count * SizeOf<T>())), count == 0 ? 0 : 1u, MapFlags.Mmapable, name)
    {
        _count = count;
    }

    /// <inheritdoc/>
    public override Type KeyType => typeof(uint);

    /// <inheritdoc/>
    public override Type ValueType => typeof(T);

    /// <summary>How many there are.</summary>
    public uint Count => _count;

    /// <summary>User side: all of them, live. A store of up to eight aligned bytes is seen whole or not at all. Valid until the map is disposed of.</summary>
    public Span<T> Entries => new(Unsafe.AsPointer(ref First), checked((int)_count));

    /// <summary>Both sides: the variable of that number, a null reference from <see cref="Count"/> on. Where the compiler sees that the number is below, nothing is tested.</summary>
    public ref T Find(uint index)
    {
        // The number that is added is the one that is compared: no verifier connects it with another.
        var place = (nuint)index;
        return ref place < _count ? ref Unsafe.Add(ref First, place) : ref Unsafe.NullRef<T>();
    }

    internal override uint ElementsOfValue => _count;

    private ref T First
    {
        [MapValue]
        get
        {
            // SAFETY: the only entry of the map holds all variables, as long as the storage lives.
            uint zero = 0;
            return ref *(T*)Storage.Find((byte*)&zero);
        }
    }
}
