using System.Buffers.Binary;
using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;

namespace Skep.KernelTests.Compiler;

/// <summary>C# constructs compiled and run: the kernel does what the CLR does.</summary>
public unsafe class LanguageTests
{
    [KernelFact]
    public void Arithmetic_of_64_bits_is_that_of_the_clr() =>
        Differential.Check(() => new Arithmetic64(), RandomPackets.Make(300, 256));

    [KernelFact]
    public void Arithmetic_of_32_bits_is_that_of_the_clr() =>
        Differential.Check(() => new Arithmetic32(), RandomPackets.Make(300, 256));

    [KernelFact]
    public void Narrow_integers_are_extended_as_the_clr_does() =>
        Differential.Check(() => new Narrow(), RandomPackets.Make(300, 128));

    [KernelFact]
    public void Comparisons_are_those_of_the_clr() =>
        Differential.Check(() => new Comparisons(), RandomPackets.Make(500, 64));

    [KernelFact]
    public void Loops_with_a_bound_run_as_often() =>
        Differential.Check(() => new Loops(), RandomPackets.Make(50, 128));

    [KernelFact]
    public void Structs_with_padding_are_map_keys() =>
        Differential.Check(() => new Keys(), RandomPackets.Make(100, 64), static p =>
        {
            var rows = new List<string>();
            p.Table.ReadAll((k, v) => rows.Add($"{k.A} {k.B} {k.C} = {v.Count} {v.Last}"));
            rows.Sort(StringComparer.Ordinal);
            return string.Join('\n', rows);
        });

    [KernelFact]
    public void Stages_are_composed_and_absent_ones_cost_nothing()
    {
        Differential.Check(() => new Staged(new XorStage(0x5a), new CountStage(3)), RandomPackets.Make(50, 64), static p => $"{p.Total.Value}");
        var with = Skep.Bpf.Compiler.ProgramCompiler.Compile(new Staged(null, new CountStage(3)));
        var without = Skep.Bpf.Compiler.ProgramCompiler.Compile(new Staged(null, null));
        Assert.True(without.Instructions.Count < with.Instructions.Count);
        Assert.Empty(without.Maps);
    }

    [KernelFact]
    public void Switches_and_patterns_choose_alike() =>
        Differential.Check(() => new Choices(), RandomPackets.Make(400, 64));

    [KernelFact]
    public void Generics_and_static_abstract_members_are_resolved() =>
        Differential.Check(() => new Generic(), RandomPackets.Make(100, 64));

    [KernelFact]
    public void Atomics_return_what_interlocked_returns() =>
        Differential.Check(() => new Atomics(), RandomPackets.Make(30, 64), static p => $"{p.State.Value.A} {p.State.Value.B}");

    private abstract class Program : XdpProgram
    {
        protected const int Words = 8;
    }

    private sealed class Arithmetic64 : Program
    {
        public override XdpAction Run(ref XdpContext context)
        {
            var data = context.Data;
            if (data + 256 > context.DataEnd)
            {
                return XdpAction.Drop;
            }

            var words = (long*)data;
            var a = words[0];
            var b = words[1];
            words[2] = a + b;
            words[3] = a - b;
            words[4] = a * b;
            words[5] = b == 0 ? 0 : (long)((ulong)a / (ulong)b);
            words[6] = b == 0 ? 0 : (long)((ulong)a % (ulong)b);
            words[7] = b is 0 or -1 ? 0 : a / b;
            words[8] = b is 0 or -1 ? 0 : a % b;
            words[9] = a & b;
            words[10] = a | b;
            words[11] = a ^ b;
            words[12] = a << (int)b;
            words[13] = a >> (int)b;
            words[14] = (long)((ulong)a >> (int)b);
            words[15] = -a;
            words[16] = ~a;
            words[17] = BinaryPrimitives.ReverseEndianness(a);
            words[18] = (long)BitOperations.RotateLeft((ulong)a, (int)b);
            words[19] = a * 10;
            words[20] = a / 7;
            words[21] = (long)((ulong)b / 8);
            words[22] = (long)((ulong)b % 16);
            words[23] = Math.Max(a, b);
            words[24] = (long)Math.Min((ulong)a, (ulong)b);
            words[25] = a + 0x1_2345_6789;
            words[26] = a & 0xff00ff00ff00ff;
            words[27] = (a >> 3) << 3;
            words[28] = 5 - a;
            words[29] = a == b ? 17 : -17;
            return a < b ? XdpAction.Pass : XdpAction.Tx;
        }
    }

    private sealed class Arithmetic32 : Program
    {
        public override XdpAction Run(ref XdpContext context)
        {
            var data = context.Data;
            if (data + 256 > context.DataEnd)
            {
                return XdpAction.Drop;
            }

            var words = (int*)data;
            var a = words[0];
            var b = words[2];
            words[4] = a + b;
            words[5] = a - b;
            words[6] = a * b;
            words[7] = b == 0 ? 0 : (int)((uint)a / (uint)b);
            words[8] = b == 0 ? 0 : (int)((uint)a % (uint)b);
            words[9] = b is 0 or -1 ? 0 : a / b;
            words[10] = b is 0 or -1 ? 0 : a % b;
            words[11] = a & b;
            words[12] = a | b;
            words[13] = a ^ b;
            words[14] = a << b;
            words[15] = a >> b;
            words[16] = (int)((uint)a >> b);
            words[17] = -a;
            words[18] = ~a;
            words[19] = BinaryPrimitives.ReverseEndianness(a);
            words[20] = (int)BitOperations.RotateRight((uint)a, b);
            var wide = (long*)(data + 96);
            wide[0] = (long)a + b;
            wide[1] = (long)(uint)a + (uint)b;
            wide[2] = (long)a * b;
            wide[3] = (uint)a;
            wide[4] = a;
            wide[5] = (long)((ulong)(uint)a << 32) | (uint)b;
            wide[6] = (int)(wide[0] >> 7);
            wide[7] = (uint)(wide[1] >> 7);
            wide[8] = a > b ? a : b;
            wide[9] = (uint)a > (uint)b ? (uint)a : (uint)b;
            wide[10] = Math.Abs(a == int.MinValue ? 0 : a);
            return a < b ? XdpAction.Pass : XdpAction.Tx;
        }
    }

    private sealed class Narrow : Program
    {
        public override XdpAction Run(ref XdpContext context)
        {
            var data = context.Data;
            if (data + 128 > context.DataEnd)
            {
                return XdpAction.Drop;
            }

            var sb = *(sbyte*)data;
            var ub = data[1];
            var ss = *(short*)(data + 2);
            var us = *(ushort*)(data + 4);
            var wide = (long*)(data + 16);
            wide[0] = sb;
            wide[1] = ub;
            wide[2] = ss;
            wide[3] = us;
            wide[4] = (byte)(sb + ub);
            wide[5] = (sbyte)(ub * 3);
            wide[6] = (short)(ss + us);
            wide[7] = (ushort)(ss - us);
            wide[8] = BinaryPrimitives.ReverseEndianness(us);
            wide[9] = BinaryPrimitives.ReverseEndianness(ss);
            wide[10] = (char)us;
            var both = new Pair { Small = (short)(ss * 5), Tiny = (sbyte)(ub + 1), Flag = sb > 3 };
            wide[11] = both.Small + both.Tiny + (both.Flag ? 1000 : 0);
            return both.Flag ? XdpAction.Pass : XdpAction.Tx;
        }

        private struct Pair
        {
            public short Small;
            public sbyte Tiny;
            public bool Flag;
        }
    }

    private sealed class Comparisons : Program
    {
        public override XdpAction Run(ref XdpContext context)
        {
            var data = context.Data;
            if (data + 64 > context.DataEnd)
            {
                return XdpAction.Drop;
            }

            var a = *(long*)data;
            var b = *(long*)(data + 8);
            uint bits = 0;
            bits |= a < b ? 1u : 0;
            bits |= a <= b ? 2u : 0;
            bits |= a > b ? 4u : 0;
            bits |= a >= b ? 8u : 0;
            bits |= (ulong)a < (ulong)b ? 16u : 0;
            bits |= (ulong)a >= (ulong)b ? 32u : 0;
            bits |= (int)a < (int)b ? 64u : 0;
            bits |= (int)a >= (int)b ? 128u : 0;
            bits |= (uint)a < (uint)b ? 256u : 0;
            bits |= (uint)a > 0x80000000u ? 512u : 0;
            bits |= (int)a > -5 ? 1024u : 0;
            bits |= a == 0 || b == 0 ? 2048u : 0;
            bits |= a > 3 && b > 3 ? 4096u : 0;
            var equal = a == b;
            var less = (int)a < (int)b;
            *(bool*)(data + 20) = equal;
            *(bool*)(data + 21) = less;
            *(bool*)(data + 22) = equal ^ less;
            *(uint*)(data + 16) = bits;
            return equal || !less ? XdpAction.Pass : XdpAction.Tx;
        }
    }

    private sealed class Loops : Program
    {
        public override XdpAction Run(ref XdpContext context)
        {
            var data = context.Data;
            if (data + 128 > context.DataEnd)
            {
                return XdpAction.Drop;
            }

            uint sum = 0;
            for (var i = 0u; i < 32; i++)
            {
                sum += data[i];
                if (data[i] == 0xff)
                {
                    break;
                }
            }

            var n = data[0] & 15;
            ulong product = 1;
            while (n > 0)
            {
                product = (product * 31) + data[40];
                n--;
            }

            *(uint*)(data + 64) = sum;
            *(ulong*)(data + 72) = product;
            uint swaps = 0;
            for (var i = 0; i < 4; i++)
            {
                for (var j = 0; j < 4; j++)
                {
                    if (data[i] < data[j + 4])
                    {
                        (data[i], data[j + 4]) = (data[j + 4], data[i]);
                        swaps++;
                    }
                }
            }

            *(uint*)(data + 80) = swaps;
            return XdpAction.Pass;
        }
    }

    private struct Key
    {
        public byte A;
        public uint B;
        public ushort C;
    }

    private struct Entry
    {
        public ulong Count;
        public uint Last;
    }

    private sealed class Keys : Program
    {
        public readonly HashMap<Key, Entry> Table = new(64);

        public override XdpAction Run(ref XdpContext context)
        {
            var data = context.Data;
            if (data + 64 > context.DataEnd)
            {
                return XdpAction.Drop;
            }

            var key = new Key { A = (byte)(data[0] & 3), B = (uint)(data[1] & 1), C = (ushort)(data[2] & 1) };
            ref var entry = ref Table.Find(in key);
            if (Unsafe.IsNullRef(ref entry))
            {
                var fresh = new Entry { Count = 1, Last = key.B };
                return Table.Update(in key, in fresh, UpdateMode.Any) == 0 ? XdpAction.Tx : XdpAction.Aborted;
            }

            entry.Count++;
            entry.Last = data[3];
            if ((data[3] & 7) == 0)
            {
                return Table.Delete(in key) == 0 ? XdpAction.Drop : XdpAction.Aborted;
            }

            return XdpAction.Pass;
        }
    }

    private interface IStage
    {
        bool Apply(byte* data, ref uint state);
    }

    private sealed class XorStage(byte mask) : IStage
    {
        private readonly byte _mask = mask;

        public bool Apply(byte* data, ref uint state)
        {
            data[0] ^= _mask;
            state += data[0];
            return true;
        }
    }

    private sealed class CountStage(int limit) : IStage
    {
        private readonly int _limit = limit;

        public Global<ulong> Seen { get; } = new();

        public bool Apply(byte* data, ref uint state)
        {
            Seen.Value++;
            for (var i = 0; i < _limit; i++)
            {
                if (data[i] == 0)
                {
                    return false;
                }

                state += data[i];
            }

            return true;
        }
    }

    private sealed class Staged(IStage? first, CountStage? second) : Program
    {
        private readonly IStage? _first = first;
        private readonly CountStage? _second = second;

        public Global<ulong> Total => _second!.Seen;

        public override XdpAction Run(ref XdpContext context)
        {
            var data = context.Data;
            if (data + 64 > context.DataEnd)
            {
                return XdpAction.Drop;
            }

            uint state = 0;
            if (_first is not null && !_first.Apply(data, ref state))
            {
                return XdpAction.Drop;
            }

            if (!(_second?.Apply(data, ref state) ?? true))
            {
                return XdpAction.Tx;
            }

            *(uint*)(data + 8) = state;
            return XdpAction.Pass;
        }
    }

    private sealed class Choices : Program
    {
        public override XdpAction Run(ref XdpContext context)
        {
            var data = context.Data;
            if (data + 64 > context.DataEnd)
            {
                return XdpAction.Drop;
            }

            data[10] = (data[0] & 15) switch
            {
                0 => 7,
                1 or 2 => 9,
                3 => data[1],
                > 4 and < 9 => 11,
                12 => (byte)(data[2] + 1),
                _ => 255,
            };
            var kind = data[3] is 6 or 17 or 1 ? 1 : data[3] is >= 100 and <= 200 ? 2 : 3;
            data[11] = (byte)kind;
            switch (data[4] & 7)
            {
                case 0:
                    goto case 5;
                case 1:
                    return XdpAction.Pass;
                case 2:
                case 3:
                    data[12] = 1;
                    break;
                case 5:
                    data[12] = 2;
                    break;
                default:
                    return kind == 1 ? XdpAction.Drop : XdpAction.Tx;
            }

            return XdpAction.Pass;
        }
    }

    private interface IWidth
    {
        static abstract uint Width { get; }
    }

    private readonly struct Four : IWidth
    {
        public static uint Width => 4;
    }

    private readonly struct Six : IWidth
    {
        public static uint Width => 6;
    }

    private readonly record struct Cursor(nuint Start, uint Offset)
    {
        public Cursor Skip<T>()
            where T : IWidth => this with { Offset = Offset + T.Width };
    }

    [InlineArray(4)]
    private struct FourWords
    {
        private uint _first;
    }

    private sealed class Generic : Program
    {
        public override XdpAction Run(ref XdpContext context)
        {
            var data = context.Data;
            if (data + 64 > context.DataEnd)
            {
                return XdpAction.Drop;
            }

            var cursor = new Cursor(0, 1).Skip<Four>().Skip<Six>();
            data[20] = (byte)cursor.Offset;
            Swap(ref data[0], ref data[1]);
            Swap(ref *(uint*)(data + 24), ref *(uint*)(data + 28));
            var words = new FourWords();
            words[0] = data[2];
            words[3] = data[3];
            data[21] = (byte)(words[0] + words[1] + words[3]);
            var (low, high) = Split(*(ushort*)(data + 4));
            data[22] = low;
            data[23] = high;
            return XdpAction.Pass;
        }

        private static void Swap<T>(ref T a, ref T b)
            where T : unmanaged => (a, b) = (b, a);

        private static (byte Low, byte High) Split(ushort value) => ((byte)value, (byte)(value >> 8));
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct Shared
    {
        public long A;
        public int B;
    }

    private sealed class Atomics : Program
    {
        public readonly Global<Shared> State = new();

        public override XdpAction Run(ref XdpContext context)
        {
            var data = context.Data;
            if (data + 64 > context.DataEnd)
            {
                return XdpAction.Drop;
            }

            ref var state = ref State.Value;
            var words = (long*)data;
            Interlocked.Add(ref state.A, words[0]);
            words[1] = Interlocked.Increment(ref state.A);
            words[2] = Interlocked.Add(ref state.B, (int)words[0]);
            words[3] = Interlocked.Exchange(ref state.A, words[4]);
            words[5] = Interlocked.CompareExchange(ref state.A, 77, words[4]);
            words[6] = Interlocked.Decrement(ref state.B);
            return XdpAction.Pass;
        }
    }
}
