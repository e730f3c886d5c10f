using static Skep.Bpf.Asm.OpCodes;

namespace Skep.Bpf.Asm.Notation;

/// <content>What may stand behind the equals sign: numbers, registers, byte swaps, sign extensions, maps and memory.</content>
internal static partial class KernelNotation
{
    private static void Value(LineScanner s, CodeSink sink, byte dst, bool half)
    {
        var begin = s.Column;
        if (s.Next == '-' && s.Take("-") && s.TryRegister(out var negated, out var negatedHalf))
        {
            InPlace(begin, dst, half, negated, negatedHalf);
            sink.Emit((half ? ClassAlu : ClassAlu64) | Neg, dst, 0, 0, 0);
            return;
        }

        s.Return(begin);
        if (s.TryNumber(out var number))
        {
            Constant(s, sink, dst, half, number);
        }
        else if (s.TryRegister(out var src, out var srcHalf))
        {
            if (srcHalf != half)
            {
                throw new AsmLineException(begin, $"expected {(half ? 'w' : 'r')}{src}: both sides have the same width (w{dst} = w{src} fills the upper half with zeros)");
            }

            sink.Emit((half ? ClassAlu : ClassAlu64) | SourceRegister | Mov, dst, src, 0, 0);
        }
        else if (s.Take("*"))
        {
            Load(s, sink, dst, half);
        }
        else if (s.Take("("))
        {
            SignExtended(s, sink, dst, half);
        }
        else if (s.Word() is { } word)
        {
            if (!Swap(s, sink, dst, half, word, begin) && !Atomic(s, sink, dst, half, word, begin) && !Pseudo(s, sink, dst, half, word))
            {
                s.Return(begin);
                s.Fail("a number, register, memory, byte swap, atomic operation or map");
            }
        }
        else
        {
            s.Fail("a value");
        }
    }

    private static void Constant(LineScanner s, CodeSink sink, byte dst, bool half, AsmNumber number)
    {
        var isLong = s.Take("ll");
        if (half)
        {
            if (isLong)
            {
                throw new AsmLineException(number.Column, $"expected r{dst}: a 64-bit constant needs a 64-bit register");
            }

            sink.Emit(ClassAlu | Mov, dst, 0, 0, number.Immediate(bitsAllowed: true));
        }
        else if (isLong || sink.ListedOpcode == LoadImmediate64 || (!number.IsSigned32 && sink.ListedOpcode is null))
        {
            sink.EmitWide(dst, 0, (int)number.Bits, (int)(number.Bits >> 32));
        }
        else
        {
            sink.Emit(ClassAlu64 | Mov, dst, 0, 0, number.Immediate(bitsAllowed: false));
        }
    }

    private static void SignExtended(LineScanner s, CodeSink sink, byte dst, bool half)
    {
        var width = s.Take("s8") ? 8 : s.Take("s16") ? 16 : !half && s.Take("s32") ? 32 : 0;
        if (width == 0)
        {
            s.Fail(half ? "s8 or s16" : "s8, s16 or s32");
        }

        s.Expect(")");
        sink.Emit((half ? ClassAlu : ClassAlu64) | SourceRegister | Mov, dst, s.ExpectRegister(half), (short)width, 0);
    }

    private static bool Swap(LineScanner s, CodeSink sink, byte dst, bool half, string word, int column)
    {
        int? code = word[..^2] switch
        {
            "be" => ClassAlu | End | SourceRegister,
            "le" => ClassAlu | End,
            "bswap" or "swap" => ClassAlu64 | End,
            _ => null,
        };
        if (code is null || word[^2..] is not ("16" or "32" or "64"))
        {
            return false;
        }

        var operand = s.Column;
        if (!s.TryRegister(out var src, out var srcHalf))
        {
            s.Fail($"r{dst}");
        }

        InPlace(half ? column : operand, dst, half, src, srcHalf);
        if (half)
        {
            throw new AsmLineException(column, $"expected r{dst} on both sides: byte swaps work on 64-bit registers");
        }

        sink.Emit(code.Value, dst, 0, 0, int.Parse(word[^2..], System.Globalization.CultureInfo.InvariantCulture));
        return true;
    }

    private static void InPlace(int column, byte dst, bool half, byte src, bool srcHalf)
    {
        if (dst != src || half != srcHalf)
        {
            throw new AsmLineException(column, $"expected {(half ? 'w' : 'r')}{dst} on the right side too: this operation changes its own register");
        }
    }

    /// <summary>Constants that the kernel replaces at load, and the change of address space.</summary>
    private static bool Pseudo(LineScanner s, CodeSink sink, byte dst, bool half, string word)
    {
        if (half || word is not ("map" or "subprog" or "btf_id" or "addr_space_cast"))
        {
            return false;
        }

        if (word == "addr_space_cast")
        {
            AddressSpace(s, sink, dst);
            return true;
        }

        s.Expect("[");
        switch (word)
        {
            case "map":
                Map(s, sink, dst);
                break;
            case "btf_id":
                var number = s.ExpectNumber("the number of a variable's type");
                sink.EmitWide(dst, PseudoBtfId, number.Immediate(bitsAllowed: true), 0);
                s.Expect("]");
                break;
            case "subprog":
                var column = s.Column;
                if (Distance(s) is { } distance)
                {
                    sink.EmitWide(dst, PseudoFunction, distance.Immediate(bitsAllowed: false), 0);
                }
                else
                {
                    sink.EmitTo(s.Word() ?? "", column, LoadImmediate64, dst, PseudoFunction, 0);
                    sink.Emit(0, 0, 0, 0, 0);
                }

                s.Expect("]");
                break;
        }

        return true;
    }

    /// <summary><c>map[fd:3]</c>, <c>map[idx:0]</c> or <c>map[name]</c>, and with <c>[0]+8</c> the address in its first value.</summary>
    private static void Map(LineScanner s, CodeSink sink, byte dst)
    {
        if (s.Until(']') is not { } inside)
        {
            s.Fail("a map and ']'");
            return;
        }

        uint? offset = null;
        if (s.Take("["))
        {
            s.Expect("0");
            s.Expect("]");
            offset = s.TryNumber(out var bytes) ? (uint)bytes.Immediate(bitsAllowed: true) : 0;
        }

        var colon = inside.IndexOf(':', StringComparison.Ordinal);
        var numbered = new LineScanner(inside[(colon + 1)..]);
        if (colon > 0 && inside[..colon] is "fd" or "idx" && numbered.TryNumber(out var number))
        {
            var pseudo = (inside[..colon] == "fd", offset is null) switch
            {
                (true, true) => PseudoMapFd,
                (true, false) => PseudoMapValue,
                (false, true) => PseudoMapIndex,
                _ => PseudoMapIndexValue,
            };
            sink.EmitWide(dst, pseudo, number.Immediate(bitsAllowed: true), (int)(offset ?? 0));
            return;
        }

        sink.Maps.Add(new AsmMapUse(sink.Code.Count, inside.Trim(), offset));
        sink.EmitWide(dst, offset is null ? PseudoMapFd : PseudoMapValue, 0, (int)(offset ?? 0));
    }

    private static void AddressSpace(LineScanner s, CodeSink sink, byte dst)
    {
        s.Expect("(");
        var src = s.ExpectRegister(half: false);
        s.Expect(",");
        var to = s.ExpectNumber("the address space to go to").Offset();
        s.Expect(",");
        var from = s.ExpectNumber("the address space to come from").Offset();
        s.Expect(")");
        sink.Emit(ClassAlu64 | SourceRegister | Mov, dst, src, AddressSpaceCast, ((ushort)to << 16) | (ushort)from);
    }
}
