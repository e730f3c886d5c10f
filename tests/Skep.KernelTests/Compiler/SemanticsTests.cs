using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Skep.Bpf.Compiler;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;
using Skep.Bpf.Twin;
using Skep.Bpf.Twin.Interpretation;
using Skep.KernelTests.Compiler.Language;

namespace Skep.KernelTests.Compiler;

/// <summary>Each row of <c>docs/clr-and-bpf.md</c> by name: where the CLR and the kernel agree, and where they do not, what each does.</summary>
public unsafe class SemanticsTests
{
    [KernelFact]
    public void Division_by_zero_throws_here_and_gives_zero_there()
    {
        Assert.Throws<DivideByZeroException>(() => RunInProcess(new Divides(), Words(7, 0)));
        var words = RunInKernel(() => new Divides(), Words(7, 0));
        Assert.Equal(new ulong[] { 0, 7, 0, 7, 0, 7, 0, 7 }, words[10..18]);
    }

    [KernelFact]
    public void The_smallest_number_by_minus_one_throws_here_and_stays_there()
    {
        Assert.Throws<OverflowException>(() => RunInProcess(new DividesSmallest(), Words(unchecked((ulong)long.MinValue), ulong.MaxValue)));
        var words = RunInKernel(() => new DividesSmallest(), Words(unchecked((ulong)long.MinValue), ulong.MaxValue));
        Assert.Equal(new ulong[] { 0x8000000000000000, 0 }, words[10..12]);
    }

    [KernelFact]
    public void The_magnitude_of_the_smallest_number_throws_here_and_stays_there()
    {
        Assert.Throws<OverflowException>(() => RunInProcess(new Magnitude(), Words(0x80000000)));
        Assert.Equal(0x80000000u, RunInKernel(() => new Magnitude(), Words(0x80000000))[10]);
    }

    [KernelFact]
    public void Signed_division_rounds_toward_zero() => WordsProgram.Check(() => new Rounds(), 300);

    [KernelFact]
    public void Shift_counts_are_taken_modulo_the_width() => WordsProgram.Check(() => new Shifts(), 200);

    [KernelFact]
    public void Narrow_numbers_are_extended_by_their_sign() => WordsProgram.Check(() => new Extends(), 200);

    [KernelFact]
    public void Narrowing_keeps_the_low_bits() => WordsProgram.Check(() => new Narrows(), 200);

    [KernelFact]
    public void Sums_and_products_wrap_at_their_width() => WordsProgram.Check(() => new Wraps(), 200);

    [KernelFact]
    public void Fields_may_stand_anywhere_in_packets_and_on_the_stack() => WordsProgram.Check(() => new Anywhere(), 100);

    [KernelFact]
    public void Numbers_in_memory_are_little_endian() => WordsProgram.Check(() => new Endian(), 100);

    [KernelFact]
    public void A_bool_is_a_byte_of_which_any_bit_counts() => WordsProgram.Check(() => new Booleans(), 300);

    [KernelFact]
    public void Locals_and_stackalloc_begin_as_zero() => WordsProgram.Check(() => new Zeros(), 20);

    [KernelFact]
    public void Padding_of_structs_made_in_the_kernel_is_zero()
    {
        var program = new Padded();
        var spec = ProgramCompiler.Compile(program);
        using var loaded = ProgramLoader.Load(spec);
        using var table = program.Table;
        loaded.TestRun(new byte[WordsProgram.Bytes]);
        Span<byte> key = stackalloc byte[16];
        Assert.Equal(0, table.Storage.NextKey([], key));
        Assert.Equal("0100000000000000" + "0200000000000000", Convert.ToHexString(key));
    }

    [KernelFact]
    public void Failures_of_maps_are_negative_error_numbers()
    {
        var packet = new byte[WordsProgram.Bytes];
        Differential.Check(() => new Failures(), [packet]);
        var words = RunInKernel(() => new Failures(), Words(0));
        Assert.Equal(new long[] { -2, 0, -17, 0, -7, -2, 1 }, words[10..17].Select(static x => (long)x));
    }

    [KernelFact]
    public void Interlocked_counts_exactly_on_all_processors()
    {
        const int Runs = 20_000;
        var program = new Counts();
        var spec = ProgramCompiler.Compile(program);
        using var loaded = ProgramLoader.Load(spec);
        using var total = program.Total;
        using var perCpu = program.PerCpu;
        var threads = Enumerable.Range(0, 4).Select(_ => new Thread(() => loaded.TestRun(new byte[WordsProgram.Bytes], new TestRunOptions { Repeat = Runs }))).ToList();
        threads.ForEach(static t => t.Start());
        threads.ForEach(static t => t.Join());
        Assert.Equal(4 * Runs, total.Value);

        // One value per processor, which nobody else writes meanwhile: their sum is exact, too.
        Assert.True(perCpu.TryGet(0u, out var values));
        Assert.Equal(4UL * Runs, values.Aggregate(0UL, static (a, b) => a + b));
    }

    [KernelFact]
    public void A_map_value_that_is_not_there_is_null_on_both_sides() => WordsProgram.Check(() => new Absent(), 20);

    [KernelFact]
    public void Packet_pointers_have_64_bits_though_the_context_holds_32() => WordsProgram.Check(() => new Pointers(), 20);

    [KernelFact]
    public void Values_of_128_bits_lie_low_half_first() => WordsProgram.Check(() => new Halves(), 50);

    [KernelFact]
    public void Arguments_are_evaluated_from_left_to_right() => WordsProgram.Check(() => new Order(), 50);

    private static byte[] Words(params ulong[] words)
    {
        var packet = new byte[WordsProgram.Bytes];
        MemoryMarshal.AsBytes<ulong>(words).CopyTo(packet);
        return packet;
    }

    private static void RunInProcess(XdpProgram program, byte[] packet)
    {
        using var twin = new TwinEngine();
        twin.Bind(program);
        twin.Run(program, packet);
    }

    /// <summary>The words of the packet afterwards, the same in kernel and interpreter for each instruction set.</summary>
    private static ulong[] RunInKernel(Func<XdpProgram> create, byte[] packet)
    {
        byte[] output = [];
        for (var level = 1; level <= 4; level++)
        {
            if (Differential.Compile(create(), null, level) is not { } spec)
            {
                continue;
            }

            using var loaded = ProgramLoader.Load(spec);
            output = loaded.TestRun(packet).Output;
            foreach (var map in spec.Maps)
            {
                map.Dispose();
            }

            using var twin = new TwinEngine();
            var interpreter = new BytecodeInterpreter(ProgramCompiler.Compile(create(), new CompileTarget { IsaLevel = level }), twin);
            Assert.Equal(output, interpreter.RunXdp(packet).Packet.ToArray());
        }

        return MemoryMarshal.Cast<byte, ulong>(output).ToArray();
    }

    private sealed class Divides : WordsProgram
    {
        protected override bool Compute(ulong* w)
        {
            w[10] = w[0] / w[1];
            w[11] = w[0] % w[1];
            w[12] = (uint)w[0] / (uint)w[1];
            w[13] = (uint)w[0] % (uint)w[1];
            w[14] = (ulong)((long)w[0] / (long)w[1]);
            w[15] = (ulong)((long)w[0] % (long)w[1]);
            w[16] = (ulong)((int)w[0] / (int)w[1]);
            w[17] = (ulong)((int)w[0] % (int)w[1]);
            return true;
        }
    }

    private sealed class DividesSmallest : WordsProgram
    {
        protected override bool Compute(ulong* w)
        {
            w[10] = (ulong)((long)w[0] / (long)w[1]);
            w[11] = (ulong)((long)w[0] % (long)w[1]);
            return true;
        }
    }

    private sealed class Magnitude : WordsProgram
    {
        protected override bool Compute(ulong* w)
        {
            w[10] = (uint)Math.Abs((int)w[0]);
            return true;
        }
    }

    private sealed class Rounds : WordsProgram
    {
        protected override bool Compute(ulong* w)
        {
            w[10] = (ulong)((long)w[0] / 7);
            w[11] = (ulong)((long)w[0] % 7);
            w[12] = (ulong)((int)w[1] / -16);
            w[13] = (ulong)((int)w[1] % -16);
            w[14] = (ulong)((int)w[2] / (((int)w[3] & 0xff) + 1));
            w[15] = (ulong)((long)w[2] % (((long)w[3] & 0xff) + 1));
            w[16] = (ulong)((short)w[4] / 3);
            return true;
        }
    }

    private sealed class Shifts : WordsProgram
    {
        protected override bool Compute(ulong* w)
        {
            var n = (int)w[1];
            w[10] = w[0] << n;
            w[11] = w[0] >> n;
            w[12] = (ulong)((long)w[0] >> n);
            w[13] = (uint)w[0] << n;
            w[14] = (uint)w[0] >> n;
            w[15] = (ulong)((int)w[0] >> n);
            w[16] = w[0] << 65;
            w[17] = (uint)w[0] >> 33;
            w[18] = (ulong)((byte)w[0] << n);
            return true;
        }
    }

    private sealed class Extends : WordsProgram
    {
        protected override bool Compute(ulong* w)
        {
            w[10] = (ulong)*(sbyte*)w;
            w[11] = *(byte*)w;
            w[12] = (ulong)*(short*)(w + 1);
            w[13] = *(ushort*)(w + 1);
            w[14] = (ulong)*(int*)(w + 2);
            w[15] = *(uint*)(w + 2);
            w[16] = (ulong)((sbyte)w[3] + (short)w[3]);
            return (sbyte)w[4] < (short)w[5];
        }
    }

    private sealed class Narrows : WordsProgram
    {
        protected override bool Compute(ulong* w)
        {
            w[10] = (byte)w[0];
            w[11] = (ulong)(sbyte)w[0];
            w[12] = (ulong)(short)(int)w[1];
            w[13] = (uint)(long)w[2];
            *(ushort*)(w + 14) = (ushort)(w[3] * 3);
            byte small = (byte)(w[4] + 200);
            small += 100;
            w[15] = small;
            return true;
        }
    }

    private sealed class Wraps : WordsProgram
    {
        protected override bool Compute(ulong* w)
        {
            var (a, b) = ((uint)w[0], (uint)w[1]);
            w[10] = a + b;
            w[11] = (ulong)a + b;
            w[12] = a * b;
            w[13] = (ulong)a * b;
            w[14] = a - b;
            w[15] = (ulong)((int)a + int.MaxValue);
            w[16] = w[2] + w[3];
            w[17] = w[2] * w[3];
            w[18] = (ulong)(-(int)a);
            return a - b > 5;
        }
    }

    [StructLayout(LayoutKind.Sequential, Pack = 1)]
    private struct Crooked
    {
        public byte A;
        public uint B;
        public ulong C;
        public ushort D;
    }

    private sealed class Anywhere : WordsProgram
    {
        protected override bool Compute(ulong* w)
        {
            var bytes = (byte*)w;
            w[10] = *(uint*)(bytes + 3);
            w[11] = *(ulong*)(bytes + 13);
            *(ushort*)(bytes + 97) = (ushort)w[1];
            var crooked = *(Crooked*)(bytes + 5);
            crooked.B += crooked.D;
            Change(ref crooked);
            w[14] = crooked.B + crooked.C + crooked.A;
            *(Crooked*)(bytes + 131) = crooked;
            return true;
        }

        private static void Change(ref Crooked value) => value.C ^= value.B;
    }

    private sealed class Endian : WordsProgram
    {
        protected override bool Compute(ulong* w)
        {
            var bytes = (byte*)(w + 10);
            w[10] = 0x0102030405060708;
            w[11] = bytes[0];
            w[12] = BinaryPrimitives.ReverseEndianness(w[0]);
            w[13] = BinaryPrimitives.ReadUInt32BigEndian(new ReadOnlySpan<byte>(w, 4));
            return BitConverter.IsLittleEndian;
        }
    }

    private sealed class Booleans : WordsProgram
    {
        protected override bool Compute(ulong* w)
        {
            var flag = *(bool*)w;
            w[10] = flag ? 1u : 2u;
            w[11] = !flag ? 3u : 4u;
            *(bool*)(w + 12) = w[1] > w[2];
            *(bool*)(w + 13) = w[1] > w[2] == w[3] > w[4];
            var stored = new Flags { A = w[5] == w[6], B = w[5] < w[6] };
            w[14] = stored.A && !stored.B ? 5u : 6u;
            return stored.A | stored.B;
        }

        private struct Flags
        {
            public bool A;
            public bool B;
        }
    }

    private sealed class Zeros : WordsProgram
    {
        protected override bool Compute(ulong* w)
        {
            Crooked nothing = default;
            var memory = stackalloc ulong[4];
            w[10] = nothing.C + nothing.A;
            w[11] = memory[0] + memory[3];
            for (var i = 0; i < 3; i++)
            {
                uint fresh = default;
                fresh += (uint)w[0];
                w[12] += fresh;
            }

            return true;
        }
    }

    private struct Key
    {
        public byte A;
        public ulong B;
    }

    private sealed class Padded : WordsProgram
    {
        public readonly HashMap<Key, uint> Table = new(4);

        protected override bool Compute(ulong* w)
        {
            var key = new Key { A = 1, B = 2 };
            var one = 1u;
            return Table.Update(in key, in one, UpdateMode.Any) == 0;
        }
    }

    private sealed class Failures : WordsProgram
    {
        private readonly HashMap<uint, uint> _table = new(1);
        private readonly ArrayMap<uint> _array = new(2);

        protected override bool Compute(ulong* w)
        {
            uint one = 1, two = 2;
            w[10] = (ulong)(long)_table.Delete(in one);
            w[11] = (ulong)(long)_table.Update(in one, in one, UpdateMode.NoExist);
            w[12] = (ulong)(long)_table.Update(in one, in one, UpdateMode.NoExist);
            w[13] = (ulong)(long)_table.Update(in one, in two, UpdateMode.Exist);
            w[14] = (ulong)(long)_table.Update(in two, in two, UpdateMode.Any);
            w[15] = (ulong)(long)_table.Update(in two, in two, UpdateMode.Exist);
            w[16] = Unsafe.IsNullRef(ref _array.Find(in two)) ? 1u : 0;
            return true;
        }
    }

    private sealed class Counts : WordsProgram
    {
        public readonly Global<int> Total = new();
        public readonly PerCpuArrayMap<ulong> PerCpu = new(1);

        protected override bool Compute(ulong* w)
        {
            Interlocked.Increment(ref Total.Value);
            ref var mine = ref PerCpu.Find(0u);
            if (Unsafe.IsNullRef(ref mine))
            {
                return false;
            }

            mine++;
            return true;
        }
    }

    private sealed class Absent : WordsProgram
    {
        private readonly HashMap<ulong, ulong> _table = new(8);

        protected override bool Compute(ulong* w)
        {
            var key = w[0] & 3;
            ref var value = ref _table.Find(in key);
            if (Unsafe.IsNullRef(ref value))
            {
                var first = 10UL;
                _table.Update(in key, in first, UpdateMode.Any);
                w[10] = 1;
                return false;
            }

            w[11] = ++value;
            return true;
        }
    }

    private sealed class Pointers : WordsProgram
    {
        protected override bool Compute(ulong* w)
        {
            var end = (byte*)(w + 32);
            w[10] = (ulong)(end - (byte*)w);
            return end - (byte*)w == 256;
        }
    }

    private sealed class Halves : WordsProgram
    {
        protected override bool Compute(ulong* w)
        {
            var value = *(UInt128*)w;
            w[10] = (ulong)value;
            w[11] = (ulong)(value >> 64);
            *(UInt128*)(w + 12) = new UInt128(w[2], w[3]);
            return w[12] == w[3];
        }
    }

    private sealed class Order : WordsProgram
    {
        protected override bool Compute(ulong* w)
        {
            w[11] = Mix(Next(w), Next(w), Next(w));
            var i = 0;
            w[12] = (ulong)((i++ * 100) + (i++ * 10) + i);
            return true;
        }

        private static ulong Next(ulong* w) => ++w[10];

        private static ulong Mix(ulong a, ulong b, ulong c) => (a * 10000) + (b * 100) + c;
    }
}
