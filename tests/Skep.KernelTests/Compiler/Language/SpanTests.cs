using System.Buffers.Binary;
using System.Collections.Immutable;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Skep.Bpf.Compiler;

namespace Skep.KernelTests.Compiler.Language;

/// <summary>Spans over the stack, inline arrays, literals and tables: bounds are proven, not tested.</summary>
public unsafe class SpanTests
{
    [KernelFact]
    public void Spans_over_stackalloc_are_filled_in_loops() => WordsProgram.Check(() => new OnStack(), 60);

    [KernelFact]
    public void Spans_over_inline_arrays_are_indexed_by_masked_numbers() => WordsProgram.Check(() => new OverInlineArray(), 60);

    [KernelFact]
    public void Literals_are_compared_in_words()
    {
        WordsProgram.Check(() => new Literals(), 20);
        foreach (var word in new[] { "GET /index", "POST /form", "HEAD", "GET " })
        {
            var packet = new byte[WordsProgram.Bytes];
            System.Text.Encoding.ASCII.GetBytes(word).CopyTo(packet, 0);
            Differential.Check(() => new Literals(), [packet]);
        }

        Assert.Empty(ProgramCompiler.Compile(new Literals()).Maps);
    }

    [KernelFact]
    public void Tables_of_every_width_are_indexed_by_data() => WordsProgram.Check(() => new Tables(), 300);

    [KernelFact]
    public void Tables_share_one_read_only_map()
    {
        var spec = ProgramCompiler.Compile(new Tables());
        Assert.Equal(".rodata", Assert.Single(spec.Maps).Name);
    }

    [KernelFact]
    public void A_table_of_eight_bytes_needs_no_map()
    {
        WordsProgram.Check(() => new SmallTable(), 100);
        Assert.Empty(ProgramCompiler.Compile(new SmallTable()).Maps);
    }

    [KernelFact]
    public void Frozen_arrays_of_values_are_tables() => WordsProgram.Check(() => new FrozenTables([3, 1, 4, 1, 5, 9, 2, 6], [new Pair(1, 2), new Pair(300, 4), new Pair(5, 60000), new Pair(7, 8)]), 200);

    [KernelFact]
    public void Long_loops_over_tables_stay_loops()
    {
        WordsProgram.Check(() => new LongTable([.. Enumerable.Range(0, 500).Select(static i => (uint)(i * 7919))]), 20);
        Assert.True(ProgramCompiler.Compile(new LongTable([.. Enumerable.Range(0, 500).Select(static i => (uint)(i * 7919))])).Instructions.Count < 60);
    }

    [KernelFact]
    public void Slices_copies_and_fills_of_constant_length_work() => WordsProgram.Check(() => new Slices(), 60);

    [KernelFact]
    public void Numbers_are_read_from_and_written_to_spans_in_both_byte_orders() => WordsProgram.Check(() => new ByteOrders(), 60);

    [KernelFact]
    public void Unaligned_places_on_the_stack_are_read_and_written() => WordsProgram.Check(() => new Unaligned(), 60);

    [KernelFact]
    public void Lengths_are_known_behind_conditions() => WordsProgram.Check(() => new BehindConditions(), 200);

    [KernelFact]
    public void An_index_is_in_range_where_all_ways_to_a_place_say_so() => WordsProgram.Check(() => new AllWays(), 300);

    [KernelFact]
    public void A_signed_test_bounds_what_was_shifted_or_divided() => WordsProgram.Check(() => new ShiftedIndex(), 300);

    [KernelFact]
    public void An_index_that_is_tested_is_in_range() => WordsProgram.Check(() => new Tested(), 300);

    [KernelFact]
    public void Ref_structs_with_ref_fields_are_taken_apart() => WordsProgram.Check(() => new Cursors(), 60);

    [KernelFact]
    public void Foreach_over_spans_and_inline_arrays_counts() => WordsProgram.Check(() => new ForEach(), 60);

    private sealed class OnStack : WordsProgram
    {
        protected override bool Compute(ulong* w)
        {
            Span<uint> buffer = stackalloc uint[16];
            for (var i = 0; i < buffer.Length; i++)
            {
                buffer[i] = (uint)w[i] + (uint)i;
            }

            for (var i = buffer.Length - 1; i > 0; i--)
            {
                buffer[i - 1] ^= buffer[i];
            }

            Span<byte> bytes = stackalloc byte[8];
            bytes[(int)(w[3] & 7)] = 0xff;
            w[20] = buffer[0];
            w[21] = buffer[(int)(w[1] % 16)];
            w[22] = bytes[(int)(w[4] & 7)];
            return buffer[5] > 100;
        }
    }

    [InlineArray(12)]
    private struct Twelve
    {
        private ushort _first;
    }

    private sealed class OverInlineArray : WordsProgram
    {
        protected override bool Compute(ulong* w)
        {
            var array = default(Twelve);
            for (var i = 0; i < 12; i++)
            {
                array[i] = (ushort)w[i];
            }

            Span<ushort> span = array;
            w[20] = span[(int)(w[0] & 7)];
            w[21] = array[(int)(w[1] & 3) + 4];
            foreach (var value in span)
            {
                w[22] += value;
            }

            return span.Length == 12;
        }
    }

    private sealed class Literals : WordsProgram
    {
        protected override bool Compute(ulong* w)
        {
            var text = new ReadOnlySpan<byte>(w, 16);
            var kind = text[..4].SequenceEqual("GET "u8) ? 1u : text[..5].SequenceEqual("POST "u8) ? 2u : text.StartsWith("HEAD"u8) ? 3u : 0u;
            w[20] = kind;
            w[21] = "abcdefgh"u8[3];
            return kind != 0;
        }
    }

    private sealed class Tables : WordsProgram
    {
        private static ReadOnlySpan<byte> Squares => [0, 1, 4, 9, 16, 25, 36, 49, 64, 81, 100, 121, 144, 169, 196, 225];

        private static ReadOnlySpan<ushort> Primes => [2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53];

        private static ReadOnlySpan<int> Signed => [-1, 1, -100000, 100000, int.MinValue, int.MaxValue, 0, 7];

        private static ReadOnlySpan<ulong> Wide => [ulong.MaxValue, 1, 0x0123456789abcdef, 42];

        private static ReadOnlySpan<sbyte> Small => [-128, -1, 0, 1, 127, 3, -7, 5, 9, 11, -13, 0, 0, 0, 0, 1];

        protected override bool Compute(ulong* w)
        {
            w[20] = Squares[(int)(w[0] & 15)];
            w[21] = Primes[(int)(w[1] & 15)];
            w[22] = (ulong)Signed[(int)(w[2] & 7)];
            w[23] = Wide[(int)(w[3] & 3)];
            w[24] = (ulong)Small[(int)(w[4] & 15)];
            w[25] = Squares[7];
            var index = (uint)w[5];
            w[26] = index < (uint)Primes.Length ? Primes[(int)index] : 99u;
            return Small[(int)(w[6] & 15)] < 0;
        }
    }

    private sealed class SmallTable : WordsProgram
    {
        private static ReadOnlySpan<byte> Bits => [7, 0, 255, 3, 1, 128, 9, 2];

        protected override bool Compute(ulong* w)
        {
            w[20] = Bits[(int)(w[0] & 7)];
            return Bits[(int)(w[1] & 7)] > 5;
        }
    }

    private readonly record struct Pair(ushort A, uint B);

    private sealed class FrozenTables(int[] numbers, ImmutableArray<Pair> pairs) : WordsProgram
    {
        private static readonly ushort[] s_static = [10, 20, 30, 40];

        protected override bool Compute(ulong* w)
        {
            w[20] = (ulong)numbers[(int)(w[0] & 7)];
            w[21] = pairs[(int)(w[1] & 3)].B;
            w[22] = pairs[(int)(w[2] & 3)].A;
            w[23] = s_static[(int)(w[3] & 3)];
            ReadOnlySpan<int> span = numbers;
            w[24] = (ulong)span[(int)(w[4] & 7)];
            w[25] = (ulong)numbers.AsSpan(2, 4)[(int)(w[5] & 3)];
            w[26] = pairs.AsSpan()[(int)(w[6] & 1)].B;
            var sum = 0;
            foreach (var number in numbers)
            {
                sum += number;
            }

            w[27] = (ulong)sum;
            return true;
        }
    }

    private sealed class LongTable(uint[] values) : WordsProgram
    {
        protected override bool Compute(ulong* w)
        {
            var sum = 0u;
            for (var i = 0; i < values.Length; i++)
            {
                sum += values[i] ^ (uint)w[0];
            }

            w[20] = sum;
            return sum > 1000;
        }
    }

    private sealed class Slices : WordsProgram
    {
        protected override bool Compute(ulong* w)
        {
            Span<byte> buffer = stackalloc byte[32];
            buffer.Fill(0x11);
            new ReadOnlySpan<byte>(w, 12).CopyTo(buffer[4..]);
            var equal = buffer[..4].SequenceEqual(buffer[^4..]);
            buffer.Slice(20, 8).Clear();
            var words = MemoryMarshal.Cast<byte, ulong>(buffer);
            w[20] = words[0];
            w[21] = words[1];
            w[22] = words[2];
            w[23] = words[3];
            return equal;
        }
    }

    private sealed class ByteOrders : WordsProgram
    {
        protected override bool Compute(ulong* w)
        {
            var source = new ReadOnlySpan<byte>(w, 64);
            w[20] = BinaryPrimitives.ReadUInt16BigEndian(source);
            w[21] = BinaryPrimitives.ReadUInt32BigEndian(source[3..]);
            w[22] = BinaryPrimitives.ReadUInt64BigEndian(source[8..]);
            w[23] = (ulong)BinaryPrimitives.ReadInt16LittleEndian(source[5..]);
            w[24] = BinaryPrimitives.ReadUInt32LittleEndian(source[17..]);
            w[25] = (ulong)BinaryPrimitives.ReadInt32BigEndian(source[21..]);
            Span<byte> target = stackalloc byte[24];
            BinaryPrimitives.WriteUInt16BigEndian(target, (ushort)w[1]);
            BinaryPrimitives.WriteUInt32BigEndian(target[4..], (uint)w[2]);
            BinaryPrimitives.WriteUInt64LittleEndian(target[8..], w[3]);
            BinaryPrimitives.WriteInt64BigEndian(target[16..], (long)w[4]);
            w[26] = MemoryMarshal.Read<ulong>(target);
            w[27] = MemoryMarshal.Read<ulong>(target[8..]);
            w[28] = MemoryMarshal.Read<ulong>(target[16..]);
            return true;
        }
    }

    private sealed class Unaligned : WordsProgram
    {
        protected override bool Compute(ulong* w)
        {
            Span<byte> buffer = stackalloc byte[32];
            BinaryPrimitives.WriteUInt64LittleEndian(buffer[3..], w[0]);
            BinaryPrimitives.WriteUInt32BigEndian(buffer[13..], (uint)w[1]);
            BinaryPrimitives.WriteUInt16LittleEndian(buffer[19..], (ushort)w[2]);
            w[20] = BinaryPrimitives.ReadUInt64LittleEndian(buffer[1..]);
            w[21] = BinaryPrimitives.ReadUInt32LittleEndian(buffer[14..]);
            w[22] = (ulong)BinaryPrimitives.ReadInt16BigEndian(buffer[19..]);
            var at = (int)(w[3] & 7);
            w[23] = Unsafe.ReadUnaligned<uint>(ref buffer[at + 2]);
            Unsafe.WriteUnaligned(ref buffer[at + 1], (ushort)w[4]);
            w[24] = BinaryPrimitives.ReadUInt64LittleEndian(buffer[..8]);
            return true;
        }
    }

    private sealed class Tested : WordsProgram
    {
        protected override bool Compute(ulong* w)
        {
            Span<uint> buffer = stackalloc uint[8];
            buffer[3] = 17;
            buffer[7] = 19;
            var i = (int)w[0];
            if ((uint)i < (uint)buffer.Length)
            {
                w[20] = buffer[i];
            }

            var j = (int)w[1];
            if (j >= 0 && j < 8)
            {
                w[21] = buffer[j];
                if (j > 0)
                {
                    w[22] = buffer[j - 1];
                }
            }

            var n = Math.Min((uint)w[2], 7);
            w[23] = buffer[(int)n];
            var k = 0;
            do
            {
                w[24] += buffer[k];
                k += 2;
            }
            while (k < 8);
            return true;
        }
    }

    private sealed class BehindConditions : WordsProgram
    {
        protected override bool Compute(ulong* w)
        {
            Span<byte> buffer = stackalloc byte[32];
            new ReadOnlySpan<byte>(w, 32).CopyTo(buffer);
            var text = (ReadOnlySpan<byte>)buffer;
            var kind = text.StartsWith("\0\0"u8) ? 1u : 0;
            kind += text[..4].SequenceEqual(text[^4..]) ? 2u : 0;
            if (w[5] > 100)
            {
                kind += text.StartsWith("GET "u8) ? 4u : 8;
            }
            else
            {
                text = text[..8];
                kind += 16;
            }

            w[20] = kind + (uint)text.Length;
            return text[7] > 5;
        }
    }

    private sealed class AllWays : WordsProgram
    {
        protected override bool Compute(ulong* w)
        {
            Span<int> buffer = stackalloc int[8];
            var (x, y) = ((int)w[0], (int)w[1]);
            buffer[3] = x;
            buffer[7] = y;
            var sum = (uint)x < (uint)buffer.Length ? buffer[x] : 5;
            if (y is >= 0 and < 8)
            {
                sum += buffer[y] + (y > 0 ? buffer[y - 1] : 0);
            }

            // What cannot be needs no test: two bits and 37 are more than 7.
            var far = (int)(w[2] & 3) + 37;
            if (far < 8)
            {
                sum += buffer[far - 1];
            }

            w[20] = (ulong)sum;
            return true;
        }
    }

    private sealed class ShiftedIndex : WordsProgram
    {
        protected override bool Compute(ulong* w)
        {
            Span<int> buffer = stackalloc int[8];
            buffer[2] = 7;
            var shifted = 1 << (int)w[0];
            if (shifted is >= 0 and < 8)
            {
                w[20] = (ulong)buffer[shifted];
            }

            var rest = (int)w[1] % (int)((w[2] & 255) + 1);
            if (rest is >= 0 and < 8)
            {
                w[21] = (ulong)buffer[rest];
            }

            var negated = -(int)w[3];
            if (negated is >= 0 and < 8)
            {
                w[22] = (ulong)buffer[negated];
            }

            return true;
        }
    }

    private ref struct Cursor(ref ulong count, Span<byte> rest)
    {
        private readonly ref ulong _count = ref count;
        private Span<byte> _rest = rest;

        public byte Next()
        {
            _count++;
            var value = _rest[0];
            _rest = _rest[1..];
            return value;
        }
    }

    private sealed class Cursors : WordsProgram
    {
        protected override bool Compute(ulong* w)
        {
            var cursor = new Cursor(ref w[20], new Span<byte>(w, 16));
            var a = cursor.Next();
            var b = cursor.Next();
            var c = cursor.Next();
            w[21] = (ulong)((a * 65536) + (b * 256) + c);
            ref var largest = ref Larger(ref w[1], ref w[2]);
            largest = 7;
            return a > b;
        }

        private static ref ulong Larger(ref ulong a, ref ulong b)
        {
            if (a > b)
            {
                return ref a;
            }

            return ref b;
        }
    }

    private sealed class ForEach : WordsProgram
    {
        protected override bool Compute(ulong* w)
        {
            Span<ulong> copy = stackalloc ulong[6];
            for (var i = 0; i < 6; i++)
            {
                copy[i] = w[i] >> i;
            }

            ulong sum = 0;
            foreach (var value in copy)
            {
                if (value == 3)
                {
                    continue;
                }

                sum += value;
            }

            foreach (ref var value in copy)
            {
                value ^= sum;
            }

            ReadOnlySpan<uint> fixedTable = [1, 2, 3, 4, 5];
            foreach (var value in fixedTable)
            {
                sum += value;
            }

            w[20] = sum;
            w[21] = copy[3];
            return true;
        }
    }
}
