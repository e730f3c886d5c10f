using Skep.Bpf.Programming;

namespace Skep.Bpf.Maps;

/// <summary>
/// Memory that programs and process share page by page, with pointers that both follow (<c>BPF_MAP_TYPE_ARENA</c>, kernel 6.9). The process has
/// it mapped; a page comes into being when the process touches it, or when a program asks for it. A variable at a known offset is <see cref="At{T}"/>, anything else is found by
/// following an <see cref="ArenaPointer{T}"/>.
/// </summary>
public sealed unsafe class Arena : BpfMap
{
    /// <summary>Describes an arena.</summary>
    /// <param name="pages">Size in pages, at most 4 GiB.</param>
    /// <param name="name">Name of the map.</param>
    /// <param name="flags"><see cref="MapFlags.FaultOnAbsentPage"/>: only programs make pages.</param>
    public Arena(uint pages, string? name = null, MapFlags flags = MapFlags.None)
        : base(MapKind.Arena, 0, 0, pages, flags | MapFlags.Mmapable, name)
    {
    }

    /// <summary>Null: there are no keys.</summary>
    public override Type? KeyType => null;

    /// <summary>Bytes.</summary>
    public override Type ValueType => typeof(byte);

    /// <summary>Bytes of the arena.</summary>
    public ulong Length => (ulong)MaxEntries * (uint)Environment.SystemPageSize;

    /// <summary>First byte, in the process; programs follow addresses through <see cref="ArenaPointer{T}"/>.</summary>
    public byte* Address
    {
        [MapValue]
        get => Storage.Memory;
    }

    /// <summary>
    /// Both sides: a variable of the arena, at an offset that both know. A page that only programs use comes into being by <see cref="TryAllocate"/>, or when the process touches it
    /// first.
    /// </summary>
    /// <typeparam name="T">Type of the variable.</typeparam>
    /// <param name="offset">Offset in bytes, a multiple of the type's alignment.</param>
    public ArenaPointer<T> At<T>(uint offset)
        where T : unmanaged => new((T*)(Address + offset));

    /// <summary>Program side: new pages, zeroed (<c>bpf_arena_alloc_pages</c>, kernel 6.9); in programs that may sleep, which syscall programs do.</summary>
    /// <typeparam name="T">What the pages are used for.</typeparam>
    /// <param name="pages">How many; a constant.</param>
    /// <param name="memory">The first byte.</param>
    /// <returns>Whether there were enough.</returns>
    public bool TryAllocate<T>(uint pages, out ArenaPointer<T> memory)
        where T : unmanaged
    {
        const int AnyNode = -1;
        memory = new ArenaPointer<T>((T*)AllocatePages(this, null, pages, AnyNode, 0));
        return !memory.IsNull;
    }

    /// <summary>Program side: gives pages back (<c>bpf_arena_free_pages</c>, kernel 6.9); in programs that may sleep. Whoever still points there reads zeros.</summary>
    public void Free<T>(ArenaPointer<T> memory, uint pages)
        where T : unmanaged => FreePages(this, memory.Address, pages);

    [KernelFunction("bpf_arena_alloc_pages", Since = "6.9")]
    private static void* AllocatePages(Arena arena, void* address, uint pages, int node, ulong flags)
    {
        _ = address;
        _ = (node, flags);
        return arena.Storage.AllocatePages(pages);
    }

    [KernelFunction("bpf_arena_free_pages", Since = "6.9")]
    private static void FreePages(Arena arena, void* address, uint pages) => arena.Storage.FreePages((byte*)address, pages);
}
