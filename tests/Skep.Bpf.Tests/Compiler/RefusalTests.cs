using System.Collections.Immutable;
using System.Reflection;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;
using Skep.Bpf.Compiler;
using Skep.Bpf.Compiler.Diagnostics;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;

namespace Skep.Bpf.Tests.Compiler;

/// <summary>
/// A method per construct that a kernel program cannot have. Each is refused under its rule, at the line where it stands, with what to write instead.
/// A program that wants a construct overrides <c>Use</c>; the line is the one that says <c>HERE</c>.
/// </summary>
public class RefusalTests
{
    public static TheoryData<string, string, string> Constructs { get; } = new()
    {
        { nameof(NewObject), "SKEP0001", "cannot allocate: use a struct" },
        { nameof(NewArray), "SKEP0001", "use stackalloc, an inline array, or a map" },
        { nameof(Boxing), "SKEP0001", "generics with a struct constraint" },
        { nameof(BoxingToInterface), "SKEP0001", "generics with a struct constraint" },
        { nameof(Text), "SKEP0001", "format in the agent" },
        { nameof(Interpolation), "SKEP0001", "format in the agent" },
        { nameof(Doubles), "SKEP0001", "scale to integers" },
        { nameof(Floats), "SKEP0001", "scale to integers" },
        { nameof(Decimals), "SKEP0006", "integers" },
        { nameof(Linq), "SKEP0001", "pass what it needs by ref" },
        { nameof(Delegates), "SKEP0001", "pass what it needs by ref" },
        { nameof(Asynchronous), "SKEP0001", "wait in the agent" },
        { nameof(Iterator), "SKEP0001", "nor be resumed" },
        { nameof(Iterating), "SKEP0001", "nor be resumed" },
        { nameof(Native), "SKEP0001", "no C# body" },
        { nameof(Lists), "SKEP0001", "cannot allocate" },
        { nameof(StaticWrite), "SKEP0002", "Global<T>" },
        { nameof(StaticRead), "SKEP0002", "Global<T>" },
        { nameof(FieldWrite), "SKEP0002", "Global<T>" },
        { nameof(CapturedWrite), "SKEP0002", "Global<T>" },
        { nameof(ArrayWrite), "SKEP0001", "" },
        { nameof(Throwing), "SKEP0003", "return a verdict" },
        { nameof(TryCatch), "SKEP0003", "cannot catch" },
        { nameof(Locking), "SKEP0003", "BpfSpinLock" },
        { nameof(CheckedSum), "SKEP0003", "unchecked" },
        { nameof(CheckedCast), "SKEP0003", "unchecked" },
        { nameof(Recursion), "SKEP0004", "loop with a constant bound" },
        { nameof(MutualRecursion), "SKEP0004", "loop with a constant bound" },
        { nameof(UnknownReceiver), "SKEP0005", "its own branch" },
        { nameof(StructWithObject), "SKEP0005", "readonly field" },
        { nameof(AutomaticLayout), "SKEP0006", "LayoutKind.Sequential" },
        { nameof(StackAllocOfData), "SKEP0009", "constant size" },
        { nameof(ObjectsByData), "SKEP0009", "loop over the array" },
        { nameof(CompareOfData), "SKEP0009", "constant length" },
        { nameof(NullCall), "SKEP0010", "test the object for null" },
        { nameof(NullArray), "SKEP0010", "readonly fields" },
        { nameof(SpanIndex), "SKEP0030", "(uint)i < (uint)span.Length" },
        { nameof(TableIndex), "SKEP0030", "(uint)i < (uint)table.Length" },
        { nameof(ConstantIndex), "SKEP0030", "Length first" },
        { nameof(SliceOfData), "SKEP0030", "out of range" },
    };

    [Theory]
    [MemberData(nameof(Constructs))]
    public void Is_refused_where_it_stands_with_what_to_write_instead(string construct, string rule, string advice)
    {
        var type = typeof(RefusalTests).GetNestedType(construct, BindingFlags.NonPublic)!;
        var e = Assert.Throws<CompileException>(() => ProgramCompiler.Compile((BpfProgram)Activator.CreateInstance(type)!));
        Assert.True(e.Id == rule, e.Message);
        Assert.Contains(advice, e.Message, StringComparison.Ordinal);
        Assert.True(e.Position.File.EndsWith("RefusalTests.cs", StringComparison.Ordinal), e.Message);
        Assert.Contains("HERE", File.ReadAllLines(e.Position.File)[e.Position.Line - 1], StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void An_atomic_operation_with_a_result_is_refused_below_level_3(int level)
    {
        var e = Assert.Throws<CompileException>(() => ProgramCompiler.Compile(new Exchange(), new CompileTarget { IsaLevel = level }));
        Assert.Equal("SKEP0015", e.Id);
        Assert.Contains("keep a value per CPU, or compile for v3 (kernel 5.12)", e.Message, StringComparison.Ordinal);
        Assert.Contains("HERE", File.ReadAllLines(e.Position.File)[e.Position.Line - 1], StringComparison.Ordinal);
        Assert.NotEmpty(ProgramCompiler.Compile(new Exchange(), new CompileTarget { IsaLevel = 3 }).Instructions);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(5)]
    public void There_are_four_levels(int level) => Assert.Throws<ArgumentOutOfRangeException>(() => new CompileTarget { IsaLevel = level });

    [Fact]
    public void Every_rule_has_a_row_in_the_table_and_on_the_page()
    {
        var ids = typeof(Rule).GetFields(BindingFlags.Static | BindingFlags.Public).Select(static f => (string)f.GetValue(null)!).Where(static id => id != Rule.Internal).Order().ToList();
        Assert.Equal(ids, RuleTable.All.Select(static r => r.Id).Order());
        var page = File.ReadAllLines(Path.Combine(Root(), "docs", "csharp.md"));
        foreach (var (id, refused, instead) in RuleTable.All)
        {
            Assert.Contains($"| {id} | {refused} | {instead} |", page);
        }

        Assert.Equal(RuleTable.All.Count, page.Count(static l => l.StartsWith("| SKEP", StringComparison.Ordinal)));
    }

    private static string Root([CallerFilePath] string file = "") => Path.GetFullPath(Path.Combine(Path.GetDirectoryName(file)!, "..", "..", ".."));

    private abstract class Refused : XdpProgram
    {
        public sealed override XdpAction Run(ref XdpContext context) => Use(context.RxQueue, context.IngressInterface) ? XdpAction.Pass : XdpAction.Drop;

        protected abstract bool Use(uint a, uint b);
    }

    private sealed class Exchange : Refused
    {
        private readonly Global<uint> _last = new("last");

        protected override bool Use(uint a, uint b) => Interlocked.Exchange(ref _last.Value, a) == b; // HERE
    }

    private sealed class NewObject : Refused
    {
        protected override bool Use(uint a, uint b) => new StringBuilder((int)a).Length > b; // HERE
    }

    private sealed class NewArray : Refused
    {
        protected override bool Use(uint a, uint b)
        {
            var array = new uint[4]; // HERE
            array[a & 3] = b;
            return array[b & 3] > 3;
        }
    }

    private sealed class Boxing : Refused
    {
        protected override bool Use(uint a, uint b) => Equals(a, (object)b); // HERE
    }

    private interface IMeasure
    {
        uint Size { get; }
    }

    private readonly struct Measured(uint size) : IMeasure
    {
        public uint Size => size;
    }

    private sealed class BoxingToInterface : Refused
    {
        protected override bool Use(uint a, uint b)
        {
            IMeasure measure = new Measured(a); // HERE
            return measure.Size > b;
        }
    }

    private sealed class Text : Refused
    {
        protected override bool Use(uint a, uint b) => "four".Length > a; // HERE
    }

    private sealed class Interpolation : Refused
    {
        protected override bool Use(uint a, uint b) => $"{a}".Length > b; // HERE
    }

    private sealed class Doubles : Refused
    {
        protected override bool Use(uint a, uint b) => a * 0.5 > b; // HERE
    }

    private sealed class Floats : Refused
    {
        protected override bool Use(uint a, uint b) => a / 3f > b; // HERE
    }

    private sealed class Decimals : Refused
    {
        protected override bool Use(uint a, uint b) => Half(a) > b; // HERE

        private static decimal Half(decimal x) => x / 2;
    }

    private sealed class Linq : Refused
    {
        private readonly uint[] _numbers = [1, 2, 3];

        protected override bool Use(uint a, uint b) => _numbers.Any(n => n == a); // HERE
    }

    private sealed class Delegates : Refused
    {
        protected override bool Use(uint a, uint b) => Apply(x => x + b, a) > 4; // HERE

        private static uint Apply(Func<uint, uint> function, uint x) => function(x);
    }

    private sealed class Asynchronous : Refused
    {
        protected override bool Use(uint a, uint b) => Later(a).IsCompleted; // HERE

        private static async Task Later(uint a) => await Task.Delay((int)a);
    }

    private sealed class Iterator : Refused
    {
        protected override bool Use(uint a, uint b)
        {
            foreach (var x in Numbers()) // HERE
            {
                if (x == a)
                {
                    return true;
                }
            }

            return false;
        }

        private static IEnumerable<uint> Numbers()
        {
            yield return 1;
            yield return 2;
        }
    }

    private sealed class Iterating : Refused
    {
        protected override bool Use(uint a, uint b) => Numbers() is not null; // HERE

        private static IEnumerable<uint> Numbers()
        {
            yield return 1;
        }
    }

    private sealed class Native : Refused
    {
        protected override bool Use(uint a, uint b) => Environment.TickCount64 > a; // HERE
    }

    private sealed class Lists : Refused
    {
        protected override bool Use(uint a, uint b)
        {
            var list = new List<uint>(); // HERE
            list.Add(a);
            return list.Contains(b);
        }
    }

    private static uint s_state;

    private sealed class StaticWrite : Refused
    {
        protected override bool Use(uint a, uint b)
        {
            s_state = a; // HERE
            return true;
        }
    }

    private sealed class StaticRead : Refused
    {
        protected override bool Use(uint a, uint b) => s_state > a; // HERE
    }

    private sealed class FieldWrite : Refused
    {
        private readonly Holder _holder = new();

        protected override bool Use(uint a, uint b)
        {
            _holder.Count = a; // HERE
            return true;
        }
    }

    private sealed class Holder
    {
        public uint Count;
    }

    private abstract class Counting(uint count) : Refused
    {
        protected bool Count(uint a)
        {
            count += a; // HERE
            return count > 5;
        }
    }

    private sealed class CapturedWrite() : Counting(3)
    {
        protected override bool Use(uint a, uint b) => Count(a);
    }

    private sealed class ArrayWrite : Refused
    {
        private readonly uint[] _numbers = [1, 2, 3];

        protected override bool Use(uint a, uint b)
        {
            _numbers[0] = a; // HERE
            return true;
        }
    }

    private sealed class Throwing : Refused
    {
        protected override bool Use(uint a, uint b)
        {
            if (a > b)
            {
                throw new ArgumentException(); // HERE
            }

            return true;
        }
    }

    private sealed class TryCatch : Refused
    {
        protected override bool Use(uint a, uint b) => Sum(a) > b;

        private static uint Sum(uint a)
        {
            try
            {
                a += 2; // HERE
            }
            catch (ArithmeticException)
            {
                a++;
            }

            return a;
        }
    }

    private sealed class Locking : Refused
    {
        private readonly object _gate = new();

        protected override bool Use(uint a, uint b) => Inside(a);

        private bool Inside(uint a)
        {
            lock (_gate) // HERE
            {
                return a > 3;
            }
        }
    }

    private sealed class CheckedSum : Refused
    {
        protected override bool Use(uint a, uint b) => checked(a + b) > 3; // HERE
    }

    private sealed class CheckedCast : Refused
    {
        protected override bool Use(uint a, uint b) => checked((byte)a) > b; // HERE
    }

    private sealed class Recursion : Refused
    {
        protected override bool Use(uint a, uint b) => Sum(a) > b;

        private static uint Sum(uint n) => n == 0 ? 0 : n + Sum(n - 1); // HERE
    }

    private sealed class MutualRecursion : Refused
    {
        protected override bool Use(uint a, uint b) => Even(a);

        private static bool Even(uint n) => n == 0 || Odd(n - 1);

        private static bool Odd(uint n) => n != 0 && Even(n - 1); // HERE
    }

    private abstract class Shape
    {
        public abstract uint Area { get; }
    }

    private sealed class Square(uint side) : Shape
    {
        public override uint Area => side * side;
    }

    private sealed class UnknownReceiver : Refused
    {
        private readonly Shape _a = new Square(2);
        private readonly Shape _b = new Square(3);

        protected override bool Use(uint a, uint b) => Choose(a).Area > b;

        private Shape Choose(uint a)
        {
            if (a > 4)
            {
                return _a;
            }

            return _b; // HERE
        }
    }

    private readonly struct Labelled(Shape shape, uint label)
    {
        public Shape Shape => shape;

        public uint Label => label;
    }

    private sealed class StructWithObject : Refused
    {
        private readonly Shape _shape = new Square(2);

        protected override bool Use(uint a, uint b)
        {
            var labelled = new Labelled(_shape, a); // HERE
            return labelled.Shape.Area > labelled.Label;
        }
    }

    [StructLayout(LayoutKind.Auto)]
    private struct Automatic
    {
        public byte A;
        public ulong B;
        public byte C;
    }

    private sealed class AutomaticLayout : Refused
    {
        protected override bool Use(uint a, uint b) => Sum(a) > b; // HERE

        private static ulong Sum(uint a)
        {
            Automatic value = default;
            Fill(ref value, a);
            return value.A + value.B + value.C;
        }

        private static void Fill(ref Automatic value, uint a) => value.B = a;
    }

    private sealed class StackAllocOfData : Refused
    {
        protected override bool Use(uint a, uint b)
        {
            Span<byte> memory = stackalloc byte[(int)(a & 15) + 1]; // HERE
            return memory[0] == b;
        }
    }

    private sealed class ObjectsByData : Refused
    {
        private readonly ImmutableArray<Shape> _shapes = [new Square(1), new Square(2)];

        protected override bool Use(uint a, uint b) => _shapes[(int)(a & 1)].Area > b; // HERE
    }

    private sealed class CompareOfData : Refused
    {
        protected override bool Use(uint a, uint b)
        {
            Span<byte> x = stackalloc byte[16];
            Span<byte> y = stackalloc byte[16];
            var length = (int)(a & 7);
            return x[..length].SequenceEqual(y[..length]); // HERE
        }
    }

    private sealed class NullCall : Refused
    {
        private readonly Shape? _shape;

        public NullCall() => _shape = null;

        protected override bool Use(uint a, uint b) => _shape!.Area > a; // HERE
    }

    private sealed class NullArray : Refused
    {
        private readonly uint[]? _numbers;

        public NullArray() => _numbers = null;

        protected override bool Use(uint a, uint b) => _numbers![0] > a; // HERE
    }

    private sealed class SpanIndex : Refused
    {
        protected override bool Use(uint a, uint b)
        {
            Span<uint> span = stackalloc uint[8];
            return span[(int)a] > b; // HERE
        }
    }

    private sealed class TableIndex : Refused
    {
        private readonly uint[] _numbers = [1, 2, 3];

        protected override bool Use(uint a, uint b) => _numbers[a & 3] > b; // HERE
    }

    private sealed class ConstantIndex : Refused
    {
        private readonly uint[] _numbers = [1, 2, 3];

        protected override bool Use(uint a, uint b) => _numbers[3] > b; // HERE
    }

    private sealed class SliceOfData : Refused
    {
        protected override bool Use(uint a, uint b)
        {
            Span<uint> span = stackalloc uint[8];
            return span[(int)a..].Length > b; // HERE
        }
    }
}
