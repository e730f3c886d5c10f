using System.Runtime.CompilerServices;
using Skep.Bpf.Compiler;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;

namespace Skep.Bpf.Tests.Compiler;

/// <summary>Functions that the kernel could not take are refused with the line of the call and what to change.</summary>
public unsafe class FunctionRejectionTests
{
    [Fact]
    public void More_than_five_arguments_are_refused() =>
        Refused(new Six(), "SKEP0020", Six.Line, "'Six.Sum'", "6 values (a, b, c, d, e, f)", "only 5 fit");

    [Fact]
    public void Functions_that_call_each_other_are_refused_with_the_chain() =>
        Refused(new Circle(), "SKEP0004", Circle.Line, "'Circle.Even' calls itself", "Circle.Run -> Circle.Even -> Circle.Odd -> Circle.Even");

    [Fact]
    public void A_chain_that_needs_more_than_512_bytes_is_refused_with_its_ledger() =>
        Refused(new Deep(), "SKEP0007", 0, "560 bytes", "Deep 0 -> Outer 272 -> Inner 272");

    [Fact]
    public void More_than_eight_frames_are_refused() =>
        Refused(new Tower(), "SKEP0007", 0, "9 deep", "the kernel allows 8", "Tower 0 -> A 0 -> B 0");

    [Fact]
    public void A_global_function_that_takes_packet_pointers_is_refused() =>
        Refused(new TakesPointer(), "SKEP0020", TakesPointer.Line, "'start'", "read packets through the context");

    [Fact]
    public void A_global_function_that_returns_a_struct_is_refused() =>
        Refused(new ReturnsStruct(), "SKEP0020", ReturnsStruct.Line, "returns Pair", "passed by ref");

    [Fact]
    public void A_packet_pointer_from_before_a_function_moved_the_packet_is_refused() =>
        Refused(new Stale(), "SKEP0012", Stale.Line, "read context.Data");

    [Fact]
    public void A_lambda_that_uses_local_variables_is_refused() =>
        Refused(new Captures(), "SKEP0001", Captures.Line, "uses variables of the method around it", "pass what it needs by ref");

    [Fact]
    public void A_delegate_that_depends_on_data_is_called_on_each_way() => Assert.Single(ProgramCompiler.Compile(new Chooses()).Functions);

    [Fact]
    public void Work_after_a_tail_call_is_refused() => Refused(new GoesOn(), "SKEP0021", GoesOn.Line, "return next.Call(...)");

    [Fact]
    public void The_verdict_of_a_tail_call_cannot_be_tested() => Refused(new Tests(), "SKEP0021", Tests.Line, "changed or tested");

    [Fact]
    public void A_tail_call_under_a_deep_stack_is_refused() => Refused(new Heavy(), "SKEP0007", 0, "'Next' makes a tail call", "Heavy 264 -> Next 0");

    [Fact]
    public void A_program_of_another_kind_does_not_fit_into_a_slot()
    {
        var array = new ProgramArray<XdpContext, XdpAction>(1);
        var e = Assert.Throws<ArgumentException>(() => array[0] = new OnTc());
        Assert.Contains("does not take a XdpContext and return a XdpAction", e.Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentOutOfRangeException>(() => array[1] = new GoesOn());
    }

    [Fact]
    public void An_error_in_a_function_that_is_never_called_is_none() => Assert.Single(ProgramCompiler.Compile(new NeverCalls()).Functions);

    private static void Refused(BpfProgram program, string rule, int line, params string[] advice)
    {
        var e = Assert.Throws<CompileException>(() => ProgramCompiler.Compile(program));
        Assert.Equal(rule, e.Id);
        Assert.True(advice.All(a => e.Message.Contains(a, StringComparison.Ordinal)), e.Message);
        Assert.EndsWith("FunctionRejectionTests.cs", e.Position.File, StringComparison.Ordinal);
        if (line > 0)
        {
            Assert.Equal(line, e.Position.Line);
        }
    }

    private static int Here([CallerLineNumber] int line = 0) => line;

    private sealed class Six : XdpProgram
    {
        public static readonly int Line = Here() + 5;

        public override XdpAction Run(ref XdpContext context)
        {
            var q = context.RxQueue;
            return Sum(q, q, q, q, q, q) > 4 ? XdpAction.Pass : XdpAction.Drop;
        }

        [MethodImpl(MethodImplOptions.NoInlining)]
        private static uint Sum(uint a, uint b, uint c, uint d, uint e, uint f) => a + b + c + d + e + f;
    }

    private sealed class Circle : XdpProgram
    {
        public static readonly int Line = Here() + 7;

        public override XdpAction Run(ref XdpContext context) => Even(context.RxQueue) ? XdpAction.Pass : XdpAction.Drop;

        [MethodImpl(MethodImplOptions.NoInlining)]
        private static bool Even(uint n) => n == 0 || Odd(n - 1);
        [MethodImpl(MethodImplOptions.NoInlining)]
        private static bool Odd(uint n) => n != 0 && Even(n - 1);
    }

    private sealed class Deep : XdpProgram
    {
        public override XdpAction Run(ref XdpContext context) => Outer(context.RxQueue) > 4 ? XdpAction.Pass : XdpAction.Drop;

        [MethodImpl(MethodImplOptions.NoInlining)]
        private static uint Outer(uint index)
        {
            var buffer = stackalloc uint[68];
            buffer[index & 63] = index;
            return Inner(buffer[1]) + buffer[2];
        }

        [MethodImpl(MethodImplOptions.NoInlining)]
        private static uint Inner(uint index)
        {
            var buffer = stackalloc uint[68];
            buffer[index & 63] = index;
            return buffer[3];
        }
    }

    private sealed class Tower : XdpProgram
    {
        public override XdpAction Run(ref XdpContext context) => A(context.RxQueue) > 4 ? XdpAction.Pass : XdpAction.Drop;

        [MethodImpl(MethodImplOptions.NoInlining)]
        private static uint A(uint n) => B(n) + 1;

        [MethodImpl(MethodImplOptions.NoInlining)]
        private static uint B(uint n) => C(n) * 2;

        [MethodImpl(MethodImplOptions.NoInlining)]
        private static uint C(uint n) => D(n) + 3;

        [MethodImpl(MethodImplOptions.NoInlining)]
        private static uint D(uint n) => E(n) * 4;

        [MethodImpl(MethodImplOptions.NoInlining)]
        private static uint E(uint n) => F(n) + 5;

        [MethodImpl(MethodImplOptions.NoInlining)]
        private static uint F(uint n) => G(n) * 6;

        [MethodImpl(MethodImplOptions.NoInlining)]
        private static uint G(uint n) => H(n) + 7;

        [MethodImpl(MethodImplOptions.NoInlining)]
        private static uint H(uint n) => n ^ 8;
    }

    private sealed class TakesPointer : XdpProgram
    {
        public static readonly int Line = Here() + 2;

        public override XdpAction Run(ref XdpContext context) => First(context.Data) > 4 ? XdpAction.Pass : XdpAction.Drop;

        [GlobalFunction]
        private static uint First(byte* start) => *start;
    }

    private sealed class ReturnsStruct : XdpProgram
    {
        public static readonly int Line = Here() + 2;

        public override XdpAction Run(ref XdpContext context) => Both(context.RxQueue).A > 4 ? XdpAction.Pass : XdpAction.Drop;

        [GlobalFunction]
        private static Pair Both(uint n) => new() { A = n, B = n };

        private struct Pair
        {
            public uint A;
            public uint B;
        }
    }

    private sealed class Stale : XdpProgram
    {
        public static readonly int Line = Here() + 11;

        public override XdpAction Run(ref XdpContext context)
        {
            var data = context.Data;
            if (data + 14 > context.DataEnd)
            {
                return XdpAction.Drop;
            }

            Cut(ref context);
            return *data == 4 ? XdpAction.Pass : XdpAction.Drop;
        }

        [MethodImpl(MethodImplOptions.NoInlining)]
        private static void Cut(ref XdpContext context) => context.AdjustHead(4);
    }

    private sealed class Captures : XdpProgram
    {
        public static readonly int Line = Here() + 4;

        public override XdpAction Run(ref XdpContext context)
        {
            var limit = context.RxQueue;
            uint sum = 0;
            Loop.Run(100, (index, ref sum) => index > limit ? LoopControl.Break : LoopControl.Continue, ref sum);
            return XdpAction.Pass;
        }
    }

    private sealed class Chooses : XdpProgram
    {
        public override XdpAction Run(ref XdpContext context)
        {
            Func<uint, uint> change = context.RxQueue > 3 ? static x => x + 1 : static x => x * 2;
            return change(context.RxQueue) > 7 ? XdpAction.Pass : XdpAction.Drop;
        }
    }

    private sealed class GoesOn : XdpProgram
    {
        public static readonly int Line = Here() + 6;
        private readonly ProgramArray<XdpContext, XdpAction> _next = new(2);
        private readonly Global<ulong> _count = new();

        public override XdpAction Run(ref XdpContext context)
        {
            var verdict = _next.Call(ref context, 0, XdpAction.Pass);
            _count.Value++;
            return verdict;
        }
    }

    private sealed class Tests : XdpProgram
    {
        public static readonly int Line = Here() + 3;
        private readonly ProgramArray<XdpContext, XdpAction> _next = new(2);

        public override XdpAction Run(ref XdpContext context) => _next.Call(ref context, 0, XdpAction.Pass) == XdpAction.Drop ? XdpAction.Drop : XdpAction.Pass;
    }

    private sealed class Heavy : XdpProgram
    {
        private readonly ProgramArray<XdpContext, XdpAction> _next = new(2);

        public override XdpAction Run(ref XdpContext context)
        {
            var buffer = stackalloc uint[66];
            buffer[context.RxQueue & 63] = 1;
            return Next(ref context, buffer[3]) == XdpAction.Drop ? XdpAction.Drop : XdpAction.Pass;
        }

        [MethodImpl(MethodImplOptions.NoInlining)]
        private XdpAction Next(ref XdpContext context, uint slot) => _next.Call(ref context, slot, XdpAction.Pass);
    }

    private sealed class OnTc : TcProgram
    {
        public override TcAction Run(ref TcContext context) => TcAction.Ok;
    }

    private sealed class NeverCalls : XdpProgram
    {
        public override XdpAction Run(ref XdpContext context)
        {
            if ((context.RxQueue & 3) > 7)
            {
                Throw();
            }

            return XdpAction.Pass;
        }

        [MethodImpl(MethodImplOptions.NoInlining)]
        private static void Throw() => throw new InvalidOperationException();
    }
}
