using System.Runtime.InteropServices;

namespace Skep.Balancing;

/// <summary>
/// How slots of rings lie in the rows of a map: four numbers of 16 bits in a row of eight bytes, or two of 32 bits when there are more backends
/// than 16 bits can number. In memory, slots of one ring follow each other from the lowest byte of its first row.
/// </summary>
/// <param name="IsWide">Whether a slot takes 32 bits.</param>
internal readonly record struct RingSlots(bool IsWide)
{
    /// <summary>The narrowest slots for ids up to <paramref name="largestId"/>.</summary>
    public static RingSlots For(uint largestId) => new(largestId > ushort.MaxValue);

    /// <summary>Slots in a row.</summary>
    public int PerRow => IsWide ? 2 : 4;

    /// <summary>Rows that <paramref name="slots"/> slots take.</summary>
    public uint RowsOf(int slots) => (uint)((slots + PerRow - 1) / PerRow);

    /// <summary>The narrow slots that rows hold.</summary>
    public static Span<ushort> Narrow(Span<ulong> rows, int slots) => MemoryMarshal.Cast<ulong, ushort>(rows)[..slots];

    /// <summary>The wide slots that rows hold.</summary>
    public static Span<uint> Wide(Span<ulong> rows, int slots) => MemoryMarshal.Cast<ulong, uint>(rows)[..slots];
}
