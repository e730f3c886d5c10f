using System.Runtime.CompilerServices;
using Skep.Bpf.Compiler;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;

namespace Skep.Bpf.Tests.Compiler;

/// <summary>C# that a kernel program cannot use is refused with its rule, its line and what to write instead.</summary>
public unsafe class RejectionTests
{
    [Fact]
    public void An_exception_is_refused() => Refused(new Throws(), "SKEP0003", "return a verdict", Throws.Line);

    [Fact]
    public void An_exception_that_cannot_happen_is_not() => Assert.NotEmpty(ProgramCompiler.Compile(new ThrowsNever()).Instructions);

    [Fact]
    public void An_allocation_is_refused() => Refused(new Allocates(), "SKEP0001", "cannot allocate", Allocates.Line);

    [Fact]
    public void A_mutable_field_is_refused() => Refused(new Mutable(), "SKEP0002", "make it readonly", Mutable.Line);

    [Fact]
    public void Recursion_is_refused() => Refused(new Recursive(), "SKEP0004", "loop with a constant bound", Recursive.Line);

    [Fact]
    public void Floating_point_is_refused() => Refused(new Floats(), "SKEP0001", "scale to integers", Floats.Line);

    [Fact]
    public void A_string_is_refused() => Refused(new Strings(), "SKEP0001", "format in the agent", Strings.Line);

    [Fact]
    public void Checked_arithmetic_is_refused() => Refused(new Checked(), "SKEP0003", "unchecked", Checked.Line);

    [Fact]
    public void A_catch_is_refused() => Refused(new Catches(), "SKEP0003", "cannot catch", 0);

    [Fact]
    public void An_object_unknown_at_compile_time_is_refused() => Refused(new Chooses(), "SKEP0005", "its own branch", 0);

    [Fact]
    public void A_null_object_that_is_used_is_refused() => Refused(new UsesNull(), "SKEP0010", "test the object for null", UsesNull.Line);

    [Fact]
    public void A_large_stack_is_refused_with_its_ledger() => Refused(new Large(), "SKEP0007", "per-CPU array", 0);

    [Fact]
    public void A_kernel_field_without_btf_is_refused() => Refused(new ReadsKernel(), "SKEP0008", "CONFIG_DEBUG_INFO_BTF", ReadsKernel.Line);

    [Fact]
    public void A_packet_pointer_from_before_the_packet_moved_is_refused() => Refused(new Stale(), "SKEP0012", "read context.Data", Stale.Line);

    private static void Refused(BpfProgram program, string rule, string advice, int line)
    {
        var e = Assert.Throws<CompileException>(() => ProgramCompiler.Compile(program));
        Assert.Equal(rule, e.Id);
        Assert.Contains(advice, e.Message, StringComparison.Ordinal);
        if (line > 0)
        {
            Assert.EndsWith("RejectionTests.cs", e.Position.File, StringComparison.Ordinal);
            Assert.Equal(line, e.Position.Line);
        }
    }

    private static int Here([CallerLineNumber] int line = 0) => line;

    private sealed class Throws : XdpProgram
    {
        public static readonly int Line = Here() + 6;

        public override XdpAction Run(ref XdpContext context)
        {
            if (context.RxQueue > 3)
            {
                throw new InvalidOperationException();
            }

            return XdpAction.Pass;
        }
    }

    private sealed class ThrowsNever : XdpProgram
    {
        public override XdpAction Run(ref XdpContext context)
        {
            var small = context.RxQueue & 3;
            if (small > 7)
            {
                throw new InvalidOperationException();
            }

            return XdpAction.Pass;
        }
    }

    private sealed class Allocates : XdpProgram
    {
        public static readonly int Line = Here() + 4;

        public override XdpAction Run(ref XdpContext context)
        {
            var list = new List<uint> { context.RxQueue };
            return list.Count > 0 ? XdpAction.Pass : XdpAction.Drop;
        }
    }

    private sealed class Mutable : XdpProgram
    {
        public static readonly int Line = Here() + 4;
        private int _limit = 3;

        public override XdpAction Run(ref XdpContext context)
            => context.RxQueue > (uint)_limit ? XdpAction.Pass : XdpAction.Drop;

        public void Set(int limit) => _limit = limit;
    }

    private sealed class Recursive : XdpProgram
    {
        public static readonly int Line = Here() + 4;

        public override XdpAction Run(ref XdpContext context) => Sum(context.RxQueue) > 4 ? XdpAction.Pass : XdpAction.Drop;
        private static uint Sum(uint n)
            => n == 0 ? 0 : n + Sum(n - 1);
    }

    private sealed class Floats : XdpProgram
    {
        public static readonly int Line = Here() + 2;

        public override XdpAction Run(ref XdpContext context) => context.RxQueue * 0.5 > 2 ? XdpAction.Pass : XdpAction.Drop;
    }

    private sealed class Strings : XdpProgram
    {
        public static readonly int Line = Here() + 2;

        public override XdpAction Run(ref XdpContext context) => "abc".Length > context.RxQueue ? XdpAction.Pass : XdpAction.Drop;
    }

    private sealed class Checked : XdpProgram
    {
        public static readonly int Line = Here() + 2;

        public override XdpAction Run(ref XdpContext context) => checked(context.RxQueue + 1) > 2 ? XdpAction.Pass : XdpAction.Drop;
    }

    private sealed class Catches : XdpProgram
    {
        public override XdpAction Run(ref XdpContext context)
        {
            try
            {
                return context.RxQueue / context.IngressInterface > 1 ? XdpAction.Pass : XdpAction.Drop;
            }
            catch (DivideByZeroException)
            {
                return XdpAction.Aborted;
            }
        }
    }

    private sealed class Stage(uint limit)
    {
        private readonly uint _limit = limit;

        public bool Allows(uint n) => n < _limit;
    }

    private sealed class Chooses : XdpProgram
    {
        private readonly Stage _a = new(1);
        private readonly Stage _b = new(2);

        public override XdpAction Run(ref XdpContext context)
        {
            return Pick(context.RxQueue).Allows(context.IngressInterface) ? XdpAction.Pass : XdpAction.Drop;
        }

        private Stage Pick(uint queue) => queue > 1 ? _a : _b;
    }

    private sealed class UsesNull : XdpProgram
    {
        public static readonly int Line = Here() + 4;
        private readonly Stage? _stage = null;

        public override XdpAction Run(ref XdpContext context)
            => _stage!.Allows(context.RxQueue) ? XdpAction.Pass : XdpAction.Drop;
    }

    [InlineArray(600)]
    private struct Block
    {
        private byte _first;
    }

    private sealed class Large : XdpProgram
    {
        private readonly HashMap<Block, uint> _map = new(4);

        public override XdpAction Run(ref XdpContext context)
        {
            var key = default(Block);
            key[0] = (byte)context.RxQueue;
            return Unsafe.IsNullRef(ref _map.Find(in key)) ? XdpAction.Pass : XdpAction.Drop;
        }
    }

    private sealed class Stale : XdpProgram
    {
        public static readonly int Line = Here() + 10;

        public override XdpAction Run(ref XdpContext context)
        {
            var data = context.Data;
            if (data + 20 > context.DataEnd || context.AdjustHead(4) != 0)
            {
                return XdpAction.Drop;
            }

            return data[3] == 7 ? XdpAction.Pass : XdpAction.Drop;
        }
    }

    [KernelStruct("sk_buff")]
    private struct Buffer
    {
#pragma warning disable CS0649 // the field is the kernel's
        [KernelField("len")]
        public uint Length;
#pragma warning restore CS0649
    }

    private sealed class ReadsKernel : RawTracepointProgram
    {
        public static readonly int Line = Here() + 5;
        private readonly Global<ulong> _bytes = new();

        public override string Tracepoint => "kfree_skb";

        public override void Run(ref RawTracepointContext context) => _bytes.Value += context.Pointer<Buffer>(0)->Length;
    }
}
