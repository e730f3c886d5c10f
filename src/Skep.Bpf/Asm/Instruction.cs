using System.Buffers.Binary;

namespace Skep.Bpf.Asm;

/// <summary>
/// One eBPF instruction slot (RFC 9669 section 3). A 64-bit immediate load takes two slots.
/// <code>
/// byte 0    byte 1           bytes 2-3     bytes 4-7
/// opcode    src:4 | dst:4    offset (le)   immediate (le)
/// </code>
/// </summary>
/// <param name="Code">Opcode: class in the low three bits.</param>
/// <param name="Dst">Destination register, 0 to 10.</param>
/// <param name="Src">Source register, or the pseudo kind of a 64-bit load or call.</param>
/// <param name="Offset">Signed offset: memory displacement or jump distance in slots.</param>
/// <param name="Immediate">Signed 32-bit immediate.</param>
public readonly record struct Instruction(byte Code, byte Dst, byte Src, short Offset, int Immediate)
{
    /// <summary>Bytes of one slot.</summary>
    public const int Size = 8;

    /// <summary>Class bits of the opcode.</summary>
    public byte Class => (byte)(Code & 0x07);

    /// <summary>Whether this is the first slot of a 64-bit immediate load.</summary>
    public bool IsWideLoad => Code == OpCodes.LoadImmediate64;

    /// <summary>Writes the slot in little-endian order.</summary>
    public void Write(Span<byte> target)
    {
        target[0] = Code;
        target[1] = (byte)((Src << 4) | (Dst & 0x0f));
        BinaryPrimitives.WriteInt16LittleEndian(target[2..], Offset);
        BinaryPrimitives.WriteInt32LittleEndian(target[4..], Immediate);
    }

    /// <summary>Reads a slot in little-endian order.</summary>
    public static Instruction Read(ReadOnlySpan<byte> source) => new(
        source[0],
        (byte)(source[1] & 0x0f),
        (byte)(source[1] >> 4),
        BinaryPrimitives.ReadInt16LittleEndian(source[2..]),
        BinaryPrimitives.ReadInt32LittleEndian(source[4..]));
}
