using System.Buffers.Binary;
using System.Reflection;
using System.Reflection.Emit;
using System.Reflection.Metadata;

namespace Skep.Bpf.Compiler.Frontend;

/// <summary>One IL instruction with its operand decoded; tokens and branch targets are left as numbers.</summary>
/// <param name="Offset">Byte offset in the method body.</param>
/// <param name="Next">Offset of the following instruction.</param>
/// <param name="Code">Opcode.</param>
/// <param name="Operand">Integer operand, token, or absolute branch target; raw bits for floating point.</param>
/// <param name="Targets">Absolute targets of a <c>switch</c>.</param>
/// <param name="Index">Place among the instructions of the body.</param>
internal readonly record struct IlInstruction(int Offset, int Next, OpCode Code, long Operand, int[]? Targets, int Index)
{
    /// <summary>The opcode as a number.</summary>
    public ILOpCode Number => (ILOpCode)(ushort)Code.Value;
}

/// <summary>Decodes method bodies (ECMA-335 partition III).</summary>
internal static class IlReader
{
    private static readonly OpCode[] s_oneByte = new OpCode[256];
    private static readonly OpCode[] s_twoBytes = new OpCode[256];

    static IlReader()
    {
        foreach (var field in typeof(OpCodes).GetFields(BindingFlags.Public | BindingFlags.Static))
        {
            if (field.GetValue(null) is OpCode code)
            {
                (code.Size == 1 ? s_oneByte : s_twoBytes)[code.Value & 0xff] = code;
            }
        }
    }

    public static List<IlInstruction> Read(ReadOnlySpan<byte> body)
    {
        var instructions = new List<IlInstruction>(body.Length / 2);
        for (var offset = 0; offset < body.Length;)
        {
            var start = offset;
            var code = body[offset] == 0xfe && offset + 1 < body.Length ? s_twoBytes[body[offset + 1]] : s_oneByte[body[offset]];
            if (code.Size == 0)
            {
                throw new BadImageFormatException($"IL_{start:x4}: unknown opcode 0x{body[offset]:x2}.");
            }

            offset += code.Size;
            long operand = 0;
            int[]? targets = null;
            switch (code.OperandType)
            {
                case OperandType.InlineNone:
                    break;
                case OperandType.ShortInlineI:
                    operand = (sbyte)body[offset++];
                    break;
                case OperandType.ShortInlineVar:
                    operand = body[offset++];
                    break;
                case OperandType.InlineVar:
                    operand = BinaryPrimitives.ReadUInt16LittleEndian(body[offset..]);
                    offset += 2;
                    break;
                case OperandType.ShortInlineBrTarget:
                    operand = (sbyte)body[offset++];
                    operand += offset;
                    break;
                case OperandType.InlineBrTarget:
                    operand = BinaryPrimitives.ReadInt32LittleEndian(body[offset..]);
                    offset += 4;
                    operand += offset;
                    break;
                case OperandType.InlineI8:
                case OperandType.InlineR:
                    operand = BinaryPrimitives.ReadInt64LittleEndian(body[offset..]);
                    offset += 8;
                    break;
                case OperandType.InlineSwitch:
                    var count = BinaryPrimitives.ReadInt32LittleEndian(body[offset..]);
                    offset += 4;
                    if ((uint)count > (uint)(body.Length - offset) / 4)
                    {
                        throw new BadImageFormatException($"IL_{start:x4}: switch with {count} targets runs past the body.");
                    }

                    targets = new int[count];
                    var origin = offset + (count * 4);
                    for (var i = 0; i < count; i++)
                    {
                        targets[i] = origin + BinaryPrimitives.ReadInt32LittleEndian(body[offset..]);
                        offset += 4;
                    }

                    break;
                default:
                    operand = BinaryPrimitives.ReadInt32LittleEndian(body[offset..]);
                    offset += 4;
                    break;
            }

            instructions.Add(new IlInstruction(start, offset, code, operand, targets, instructions.Count));
        }

        return instructions;
    }
}
