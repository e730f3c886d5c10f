namespace Skep.KernelTests.Compiler.Language;

/// <summary>Values of the programmer's own making.</summary>
public unsafe class ValueTests
{
    [KernelFact]
    public void Tuples_and_records_are_values() => WordsProgram.Check(() => new Tuples(), 100);

    [KernelFact]
    public void Operators_and_conversions_are_methods() => WordsProgram.Check(() => new Operators(), 100);

    [KernelFact]
    public void Nullable_values_have_a_flag() => WordsProgram.Check(() => new Nullables(), 100);

    [KernelFact]
    public void Mutable_structs_are_copied_as_in_the_clr() => WordsProgram.Check(() => new Copies(), 100);

    [KernelFact]
    public void Generic_structs_are_laid_out_for_their_arguments() => WordsProgram.Check(() => new GenericStructs(), 100);

    [KernelFact]
    public void Interface_default_members_of_structs_and_explicit_ones_are_called() => WordsProgram.Check(() => new StructInterfaces(), 100);

    [KernelFact]
    public void Ref_returns_and_out_and_in_pass_addresses() => WordsProgram.Check(() => new References(), 100);

    [KernelFact]
    public void Function_style_members_and_indexers_work() => WordsProgram.Check(() => new Indexers(), 100);

    private readonly record struct Point(int X, int Y)
    {
        public static Point operator +(Point a, Point b) => new(a.X + b.X, a.Y + b.Y);

        public static Point operator -(Point a) => new(-a.X, -a.Y);

        public static bool operator <(Point a, Point b) => a.X < b.X;

        public static bool operator >(Point a, Point b) => a.X > b.X;

        public static implicit operator Point(int both) => new(both, both);

        public static explicit operator ulong(Point p) => ((ulong)(uint)p.X << 32) | (uint)p.Y;
    }

    private sealed class Tuples : WordsProgram
    {
        protected override bool Compute(ulong* w)
        {
            var (a, b) = (w[0], w[1]);
            (a, b) = (b, a);
            w[10] = a - b;
            var (sum, difference) = Both((uint)w[2], (uint)w[3]);
            w[11] = sum;
            w[12] = difference;
            var p = new Point((int)w[4], (int)w[5]);
            var q = p with { Y = 9 };
            w[13] = p == q ? 1u : 0;
            w[14] = (p.X, p.Y) == (q.X, 9) ? 1u : 0;
            var (x, y) = q;
            w[15] = (ulong)(x + y);
            w[16] = p.Equals(q) ? 3u : 4u;
            var nested = ((1, (byte)w[6]), (w[7], 2u));
            w[17] = nested.Item1.Item2 + nested.Item2.Item1;
            return sum > difference;
        }

        private static (uint Sum, uint Difference) Both(uint a, uint b) => (a + b, a - b);
    }

    private sealed class Operators : WordsProgram
    {
        protected override bool Compute(ulong* w)
        {
            var a = new Point((int)w[0], (int)w[1]);
            Point b = (int)w[2];
            var c = a + b + 5;
            w[10] = (ulong)c;
            w[11] = (ulong)-c;
            w[12] = a < b ? 1u : 0;
            c += a;
            w[13] = (ulong)c;
            return a > b;
        }
    }

    private sealed class Nullables : WordsProgram
    {
        protected override bool Compute(ulong* w)
        {
            var found = Find((uint)w[0]);
            w[10] = found ?? 77;
            w[11] = found.HasValue ? found.Value + 1 : 0u;
            uint? none = null;
            w[12] = none.GetValueOrDefault(5);
            int? both = (w[1] & 1) == 0 ? (int)w[2] : null;
            var sum = both + 3;
            w[13] = (ulong)(sum ?? -1);
            w[14] = both > 0 ? 1u : 0;
            w[15] = found is { } value and > 2 ? value : 9u;
            return found == 3;
        }

        private static uint? Find(uint x) => (x & 3) == 0 ? null : x & 3;
    }

    private struct Counter
    {
        public int Value;
        public byte Step;

        public Counter()
        {
            Step = 3;
        }

        public void Move() => Value += Step;

        public readonly Counter Moved()
        {
            var copy = this;
            copy.Move();
            return copy;
        }
    }

    private sealed class Copies : WordsProgram
    {
        protected override bool Compute(ulong* w)
        {
            var a = new Counter { Value = (int)w[0] };
            var b = a;
            b.Move();
            a = b.Moved();
            Change(a);
            Change(ref b);
            w[10] = (ulong)a.Value;
            w[11] = (ulong)b.Value;
            w[12] = a.Step;
            var empty = default(Counter);
            empty.Move();
            w[13] = (ulong)empty.Value;
            for (var i = 0; i < 3; i++)
            {
                var inner = new Counter { Value = i };
                inner.Move();
                w[14] += (ulong)inner.Value;
            }

            return a.Value > b.Value;
        }

        private static void Change(Counter c) => c.Value = 1;

        private static void Change(ref Counter c) => c.Value += 100;
    }

    private struct Pair<TA, TB>
        where TA : unmanaged
        where TB : unmanaged
    {
        public TA A;
        public TB B;

        public readonly Pair<TB, TA> Swapped => new() { A = B, B = A };
    }

    private sealed class GenericStructs : WordsProgram
    {
        protected override bool Compute(ulong* w)
        {
            var p = new Pair<byte, ulong> { A = (byte)w[0], B = w[1] };
            var q = p.Swapped;
            w[10] = q.A;
            w[11] = q.B;
            var nested = new Pair<Pair<short, byte>, int> { A = { A = (short)w[2], B = (byte)w[3] }, B = (int)w[4] };
            w[12] = (ulong)(nested.A.A + nested.A.B + nested.B);
            w[13] = (ulong)(sizeof(Pair<byte, ulong>) + sizeof(Pair<Pair<short, byte>, int>));
            return true;
        }
    }

    private interface IShape
    {
        uint Side { get; }

        uint Area() => Side * Side;

        uint Twice() => Area() * 2;
    }

    private readonly struct Square(uint side) : IShape
    {
        public uint Side => side;

        uint IShape.Area() => side * side;

        uint IShape.Twice() => side * side * 2;
    }

    private sealed class StructInterfaces : WordsProgram
    {
        protected override bool Compute(ulong* w)
        {
            w[10] = AreaOf(new Square((uint)w[0]));
            w[11] = Distance(new Square((uint)w[1]), new Square((uint)w[2]));
            return true;
        }

        private static uint AreaOf<T>(T shape)
            where T : IShape => shape.Area() + shape.Twice();

        private static uint Distance<TA, TB>(in TA a, in TB b)
            where TA : struct, IShape
            where TB : struct, IShape => a.Side - b.Side;
    }

    private sealed class References : WordsProgram
    {
        protected override bool Compute(ulong* w)
        {
            if (!TryHalf(w[0], out var half))
            {
                half = 1;
            }

            w[10] = half;
            ref var place = ref w[11];
            place = 5;
            place += w[1];
            var x = 3;
            Twice(ref x);
            Twice(ref x);
            w[12] = (ulong)x;
            w[13] = Sum(in w[2], w[3]);
            ref var either = ref (w[4] & 1) == 0 ? ref w[14] : ref w[15];
            either = 99;
            return half > 4;
        }

        private static bool TryHalf(ulong value, out ulong half)
        {
            half = value / 2;
            return (value & 1) == 0;
        }

        private static void Twice(ref int x) => x *= 2;

        private static ulong Sum(in ulong a, in ulong b) => a + b;
    }

    private readonly struct Packed(ulong bits)
    {
        public uint this[int nibble] => (uint)(bits >> (nibble * 4)) & 15;

        public static Packed Of(ulong bits) => new(bits);
    }

    private sealed class Indexers : WordsProgram
    {
        private readonly Packed _frozen = new(0x123456789abcdef0);

        protected override bool Compute(ulong* w)
        {
            var packed = Packed.Of(w[0]);
            w[10] = packed[3] + packed[(int)(w[1] & 15)];
            w[11] = _frozen[2] + _frozen[(int)(w[2] & 15)];
            return true;
        }
    }
}
