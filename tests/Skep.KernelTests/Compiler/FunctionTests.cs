using System.Runtime.CompilerServices;
using Skep.Bpf.Compiler;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;

namespace Skep.KernelTests.Compiler;

/// <summary>Methods that are functions of their own in the kernel: called with the same arguments they do what the CLR does.</summary>
public unsafe class FunctionTests
{
    [KernelFact]
    public void Numbers_of_every_width_are_passed_and_returned() =>
        Differential.Check(() => new Numbers(), RandomPackets.Make(200, 128));

    [KernelFact]
    public void Structs_are_passed_by_reference_and_by_value_and_returned() =>
        Differential.Check(() => new Structs(), RandomPackets.Make(200, 128));

    [KernelFact]
    public void Packet_pointers_and_the_context_are_passed() =>
        Differential.Check(() => new Packets(), RandomPackets.Make(200, 96));

    [KernelFact]
    public void A_function_that_moves_the_packet_leaves_its_caller_to_read_the_pointers_again() =>
        Differential.Check(() => new Moves(), RandomPackets.Make(100, 96));

    [KernelFact]
    public void Map_values_are_passed_and_returned_by_reference() =>
        Differential.Check(() => new MapValues(), RandomPackets.Make(200, 64), static p => Rows(p.Table));

    [KernelFact]
    public void A_reference_in_a_struct_leads_to_the_variable() =>
        Differential.Check(() => new Holds(), RandomPackets.Make(100, 64));

    [KernelFact]
    public void A_function_is_made_once_for_each_object_and_type()
    {
        Differential.Check(() => new Objects(), RandomPackets.Make(100, 64), static p => $"{p.First.Total.Value} {p.Second.Total.Value}");
        var spec = ProgramCompiler.Compile(new Objects());
        Assert.Equal(["Objects", "Add", "Add_2", "Widen", "Widen_2"], spec.Functions.Select(static f => f.Name));
    }

    [KernelFact]
    public void A_function_that_is_called_only_in_a_case_that_cannot_be_is_left_out()
    {
        Differential.Check(() => new Impossible(), RandomPackets.Make(60, 64));
        Assert.Single(ProgramCompiler.Compile(new Impossible()).Functions);
    }

    [KernelFact]
    public void Functions_call_functions() =>
        Differential.Check(() => new Nested(), RandomPackets.Make(100, 64));

    [KernelFact]
    public void Global_functions_are_verified_by_themselves()
    {
        Differential.Check(() => new Globals(), RandomPackets.Make(100, 96));
        Kernel.Require();
        var spec = ProgramCompiler.Compile(new Globals());
        Assert.Equal(["Mix", "Update", "Length"], spec.Functions.Where(static f => f.IsGlobal).Select(static f => f.Name));
        using var loaded = ProgramLoader.Load(spec, new LoadOptions { LogLevel = 2 });

        // The verifier says so, once for each.
        Assert.Contains("('Mix') is safe for any args", loaded.Log, StringComparison.Ordinal);
        Assert.Contains("('Update') is safe for any args", loaded.Log, StringComparison.Ordinal);
        Assert.Contains("('Length') is safe for any args", loaded.Log, StringComparison.Ordinal);
    }

    [KernelFact]
    public void A_global_function_called_often_is_walked_once()
    {
        Kernel.Require();
        Differential.Check(() => new Often<Global>(), RandomPackets.Make(20, 64));
        using var asGlobal = ProgramLoader.Load(ProgramCompiler.Compile(new Often<Global>()));
        using var asStatic = ProgramLoader.Load(ProgramCompiler.Compile(new Often<Static>()));
        Assert.True(
            asGlobal.VerifiedInstructions * 3 < asStatic.VerifiedInstructions,
            $"global {asGlobal.VerifiedInstructions}, static {asStatic.VerifiedInstructions}");
    }

    [KernelFact]
    public void The_kernel_knows_names_and_lines_of_all_functions()
    {
        Kernel.Require();
        var spec = ProgramCompiler.Compile(new Nested());
        Assert.Equal(["Nested", "Outer", "Inner"], spec.Functions.Select(static f => f.Name));
        using var loaded = ProgramLoader.Load(spec, new LoadOptions { LogLevel = 2 });

        // Line information of the inner function is in the verifier's log.
        Assert.Contains("return (a * 31) ^ (b >> 3);", loaded.Log, StringComparison.Ordinal);
        Assert.All(spec.Functions, f => Assert.Contains(spec.Lines, l => l.Slot >= f.Slot && l.File.EndsWith("FunctionTests.cs", StringComparison.Ordinal)));
    }

    private static string Rows(HashMap<uint, Counter> table)
    {
        var rows = new List<string>();
        table.ReadAll((k, v) => rows.Add($"{k} = {v.Count} {v.Bytes}"));
        rows.Sort(StringComparer.Ordinal);
        return string.Join('\n', rows);
    }

    private struct Counter
    {
        public ulong Count;
        public ulong Bytes;
    }

    private sealed class Numbers : XdpProgram
    {
        public override XdpAction Run(ref XdpContext context)
        {
            var data = context.Data;
            if (data + 128 > context.DataEnd)
            {
                return XdpAction.Drop;
            }

            var wide = (long*)data;
            var small = (int*)data;
            wide[4] = Five(data[0], *(short*)(data + 2), small[1], wide[1], data[3] > 7);
            wide[5] = Narrow(small[2]);
            wide[6] = Unsigned((uint)small[3]) + Unsigned((uint)small[0]);
            wide[7] = Sign(wide[2]);
            wide[8] = IsOdd(data[9]) ? 5 : 6;
            Nothing(3);
            return Choose(data[10]);
        }

        [MethodImpl(MethodImplOptions.NoInlining)]
        private static long Five(byte a, short b, int c, long d, bool e) => e ? a + b + c - d : ((long)a << 40) ^ b ^ c ^ d;

        [MethodImpl(MethodImplOptions.NoInlining)]
        private static sbyte Narrow(int value) => (sbyte)(value >> 3);

        [MethodImpl(MethodImplOptions.NoInlining)]
        private static uint Unsigned(uint value) => value + 0x8000_0001;

        [MethodImpl(MethodImplOptions.NoInlining)]
        private static int Sign(long value) => value < 0 ? -1 : value > 0 ? 1 : 0;

        [MethodImpl(MethodImplOptions.NoInlining)]
        private static bool IsOdd(byte value) => (value & 1) != 0;

        [MethodImpl(MethodImplOptions.NoInlining)]
        private static void Nothing(int value) => _ = value;

        [MethodImpl(MethodImplOptions.NoInlining)]
        private static XdpAction Choose(byte value) => value > 128 ? XdpAction.Pass : XdpAction.Tx;
    }

    private sealed class Structs : XdpProgram
    {
        private readonly Point _offset = new() { X = 3, Y = -4, Z = 5 };

        public override XdpAction Run(ref XdpContext context)
        {
            var data = context.Data;
            if (data + 128 > context.DataEnd)
            {
                return XdpAction.Drop;
            }

            var words = (int*)data;
            var point = new Point { X = words[0], Y = words[1], Z = (short)words[2] };
            Shift(ref point, 7);
            words[4] = point.X;
            words[5] = point.Y;
            words[6] = point.Z;
            words[7] = Sum(point);
            var turned = Turn(point, words[3]);
            words[8] = turned.X;
            words[9] = turned.Y;
            words[10] = turned.Z;
            words[11] = Sum(_offset) + Total(in _offset);
            words[12] = point.Length();
            Swap(out var left, out var right, words[0], words[1]);
            words[13] = left;
            words[14] = right;
            Fill(ref Unsafe.As<Point, int>(ref point), words[2] & 1);
            words[15] = point.X ^ point.Y;
            return XdpAction.Pass;
        }

        [MethodImpl(MethodImplOptions.NoInlining)]
        private static void Shift(ref Point point, int by)
        {
            point.X += by;
            point.Z = (short)(point.Z + by);
        }

        [MethodImpl(MethodImplOptions.NoInlining)]
        private static int Sum(Point point)
        {
            point.X++;
            return point.X + point.Y + point.Z;
        }

        [MethodImpl(MethodImplOptions.NoInlining)]
        private static int Total(in Point point) => point.X * point.Y * point.Z;

        [MethodImpl(MethodImplOptions.NoInlining)]
        private static Point Turn(Point point, int times) => times > 0 ? new Point { X = point.Y, Y = point.X, Z = 1 } : point;

        [MethodImpl(MethodImplOptions.NoInlining)]
        private static void Swap(out int left, out int right, int a, int b) => (left, right) = (b, a);

        [MethodImpl(MethodImplOptions.NoInlining)]
        private static void Fill(ref int first, int index) => Unsafe.Add(ref first, index) = 99;

        private struct Point
        {
            public int X;
            public int Y;
            public short Z;

            [MethodImpl(MethodImplOptions.NoInlining)]
            public readonly int Length() => (X * X) + (Y * Y);
        }
    }

    private sealed class Packets : XdpProgram
    {
        public override XdpAction Run(ref XdpContext context)
        {
            var data = context.Data;
            var end = context.DataEnd;
            if (data + 20 > end)
            {
                return XdpAction.Drop;
            }

            *(ushort*)data = Checksum(data, 20);
            if (Read(data + 20, end) is var found and >= 0)
            {
                data[2] = (byte)found;
            }

            data[3] = (byte)Length(ref context);
            return XdpAction.Pass;
        }

        [MethodImpl(MethodImplOptions.NoInlining)]
        private static ushort Checksum(byte* start, int length)
        {
            uint sum = 0;
            for (var i = 0; i < length; i += 2)
            {
                sum += *(ushort*)(start + i);
            }

            sum = (sum & 0xffff) + (sum >> 16);
            return (ushort)~(sum + (sum >> 16));
        }

        [MethodImpl(MethodImplOptions.NoInlining)]
        private static int Read(byte* start, byte* end) => start + 8 > end ? -1 : start[0] + start[7];

        [MethodImpl(MethodImplOptions.NoInlining)]
        private static uint Length(ref XdpContext context) => (uint)(context.DataEnd - context.Data) + context.RxQueue;
    }

    private sealed class Moves : XdpProgram
    {
        public override XdpAction Run(ref XdpContext context)
        {
            var data = context.Data;
            if (data + 14 > context.DataEnd)
            {
                return XdpAction.Drop;
            }

            var type = *(ushort*)(data + 12);
            if (!Grow(ref context, type))
            {
                return XdpAction.Aborted;
            }

            data = context.Data;
            if (data + 18 > context.DataEnd)
            {
                return XdpAction.Drop;
            }

            *(ushort*)(data + 12) = 0x0081;
            *(ushort*)(data + 14) = type;
            return XdpAction.Tx;
        }

        [MethodImpl(MethodImplOptions.NoInlining)]
        private static bool Grow(ref XdpContext context, ushort type) => type != 0x0608 && context.AdjustHead(-4) == 0;
    }

    private sealed class MapValues : XdpProgram
    {
        private readonly HashMap<uint, Counter> _table = new(64);

        public HashMap<uint, Counter> Table => _table;

        public override XdpAction Run(ref XdpContext context)
        {
            var data = context.Data;
            if (data + 14 > context.DataEnd)
            {
                return XdpAction.Drop;
            }

            var counter = Find(data[0] & 15u);
            if (counter == null)
            {
                return XdpAction.Aborted;
            }

            Count(ref *counter, (ulong)(context.DataEnd - data));
            return counter->Count > 3 ? XdpAction.Tx : XdpAction.Pass;
        }

        [MethodImpl(MethodImplOptions.NoInlining)]
        private Counter* Find(uint key)
        {
            ref var counter = ref _table.Find(in key);
            if (Unsafe.IsNullRef(ref counter))
            {
                var none = default(Counter);
                _table.Update(in key, in none, UpdateMode.Any);
                counter = ref _table.Find(in key);
            }

            return (Counter*)Unsafe.AsPointer(ref counter);
        }

        [MethodImpl(MethodImplOptions.NoInlining)]
        private static void Count(ref Counter counter, ulong bytes)
        {
            counter.Count++;
            counter.Bytes += bytes;
        }
    }

    private sealed class Holds : XdpProgram
    {
        public override XdpAction Run(ref XdpContext context)
        {
            var data = context.Data;
            if (data + 32 > context.DataEnd)
            {
                return XdpAction.Drop;
            }

            var words = (int*)data;
            var value = words[0];
            var unrelated = words[1];
            var holder = new Holder { Kept = ref value, Scale = 5 };
            value += 2;
            Change(ref holder, ref unrelated);
            words[4] = value;
            value ^= 0x55;
            Change(ref holder, ref unrelated);
            words[5] = value;
            words[6] = unrelated;
            return value > unrelated ? XdpAction.Pass : XdpAction.Tx;
        }

        [MethodImpl(MethodImplOptions.NoInlining)]
        private static void Change(ref Holder holder, ref int unrelated)
        {
            holder.Kept = (holder.Kept * holder.Scale) + unrelated;
            unrelated++;
        }

        private ref struct Holder
        {
            public ref int Kept;
            public int Scale;
        }
    }

    private sealed class Summand(int step)
    {
        private readonly int _step = step;

        public Global<long> Total { get; } = new();

        [MethodImpl(MethodImplOptions.NoInlining)]
        public int Add(int value)
        {
            Total.Value += _step;
            return value + _step;
        }
    }

    private sealed class Objects : XdpProgram
    {
        public Summand First { get; } = new(3);

        public Summand Second { get; } = new(50);

        public override XdpAction Run(ref XdpContext context)
        {
            var data = context.Data;
            if (data + 32 > context.DataEnd)
            {
                return XdpAction.Drop;
            }

            var words = (int*)data;
            words[0] = First.Add(words[0]);
            words[1] = Second.Add(words[1]);
            words[2] = First.Add(words[2]);
            words[3] = (int)Widen<short>((short)words[4]) + (int)Widen<byte>((byte)words[5]) + (int)Widen<short>((short)words[6]);
            return XdpAction.Pass;
        }

        [MethodImpl(MethodImplOptions.NoInlining)]
        private static long Widen<T>(T value)
            where T : unmanaged => sizeof(T) == 1 ? Unsafe.BitCast<T, byte>(value) * 3L : Unsafe.BitCast<T, short>(value) * 5L;
    }

    private sealed class Nested : XdpProgram
    {
        public override XdpAction Run(ref XdpContext context)
        {
            var data = context.Data;
            if (data + 32 > context.DataEnd)
            {
                return XdpAction.Drop;
            }

            var words = (int*)data;
            words[2] = Outer(words[0], words[1]);
            return XdpAction.Pass;
        }

        [MethodImpl(MethodImplOptions.NoInlining)]
        private static int Outer(int a, int b) => Inner(a, b) + Inner(b, a);

        [MethodImpl(MethodImplOptions.NoInlining)]
        private static int Inner(int a, int b)
        {
            return (a * 31) ^ (b >> 3);
        }
    }

    private sealed class Impossible : XdpProgram
    {
        public override XdpAction Run(ref XdpContext context)
        {
            var data = context.Data;
            if (data + 32 > context.DataEnd)
            {
                return XdpAction.Drop;
            }

            var words = (int*)data;
            switch (data[0] & 3)
            {
                case 0: words[2] = 5; break;
                case 1: words[2] ^= 7; break;
                case 2: words[2] += words[3]; break;
                case 3: words[2] = -1; break;
                case 4: words[2] = Never(words[3], words[4]); break;
                case 5: words[2] = Never(words[4], 3); break;
            }

            return XdpAction.Pass;
        }

        [MethodImpl(MethodImplOptions.NoInlining)]
        private static int Never(int a, int b) => (a * 31) ^ (b >> 3);
    }

    private sealed class Globals : XdpProgram
    {
        public override XdpAction Run(ref XdpContext context)
        {
            var data = context.Data;
            if (data + 64 > context.DataEnd)
            {
                return XdpAction.Drop;
            }

            var words = (int*)data;
            var state = new Counter { Count = (ulong)words[0], Bytes = 2 };
            words[4] = Mix(words[0], (byte)words[1], words[2]);
            Update(ref state, words[3]);
            words[5] = (int)state.Count;
            words[6] = (int)state.Bytes;
            var length = Length(ref context, 2);
            words[7] = (int)length;
            return Mix(words[1], data[1], -1) < 0 ? XdpAction.Pass : XdpAction.Tx;
        }

        [GlobalFunction]
        private static int Mix(int a, byte b, long c) => (int)((a ^ c) >> (b & 7)) - b;

        [GlobalFunction]
        private static void Update(ref Counter counter, int by)
        {
            counter.Count += (ulong)by;
            counter.Bytes ^= counter.Count;
        }

        [GlobalFunction]
        private static uint Length(ref XdpContext context, uint scale) => (uint)(context.DataEnd - context.Data) * scale;
    }

    private interface IKind
    {
        static abstract uint Hash(uint value, uint seed);
    }

    private readonly struct Global : IKind
    {
        [GlobalFunction]
        public static uint Hash(uint value, uint seed) => Rounds(value, seed);
    }

    private readonly struct Static : IKind
    {
        [MethodImpl(MethodImplOptions.NoInlining)]
        public static uint Hash(uint value, uint seed) => Rounds(value, seed);
    }

    private static uint Rounds(uint value, uint seed)
    {
        for (var i = 0; i < 16; i++)
        {
            value = (value ^ (value >> 15)) * (seed | 1);
            seed = (seed << 5) - seed;
        }

        return value;
    }

    private sealed class Often<T> : XdpProgram
        where T : IKind
    {
        public override XdpAction Run(ref XdpContext context)
        {
            var data = context.Data;
            if (data + 64 > context.DataEnd)
            {
                return XdpAction.Drop;
            }

            var words = (uint*)data;
            words[8] = T.Hash(words[0], 1) ^ T.Hash(words[1], 2) ^ T.Hash(words[2], 3) ^ T.Hash(words[3], 4);
            words[9] = T.Hash(words[4], 5) ^ T.Hash(words[5], 6) ^ T.Hash(words[6], 7) ^ T.Hash(words[7], 8);
            return XdpAction.Pass;
        }
    }
}
