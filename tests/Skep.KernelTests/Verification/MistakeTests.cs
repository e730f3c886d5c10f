using System.Runtime.CompilerServices;
using Skep.Bpf.Compiler;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;
using Skep.Bpf.Verification;

namespace Skep.KernelTests.Verification;

/// <summary>
/// Mistakes that compile: the message must lead a C# programmer, who knows nothing of registers, to the line and the mend.
/// </summary>
public unsafe class MistakeTests
{
    private static readonly Dictionary<string, (BpfProgram Program, string Rule, string Mend)> s_mistakes = new()
    {
        ["a packet byte without a comparison"] = (new NoBounds(), "comparison with DataEnd", "`pointer + size > context.DataEnd` first"),
        ["a comparison one byte short"] = (new OneByteShort(), "comparison with DataEnd", "`pointer + size > context.DataEnd` first"),
        ["a pointer moved after the comparison"] = (new ComparesAnother(), "comparison with DataEnd", "needs a comparison of its own"),
        ["a walk to the end"] = (new LoopToEnd(), "comparison with DataEnd", "`pointer < context.DataEnd` is not enough"),
        ["a length from the packet"] = (new LengthFromPacket(), "comparison with DataEnd", "needs a comparison of its own"),
        ["a map value without a test"] = (new NoNullTest(), "only after a test", "Unsafe.IsNullRef"),
        ["a test after the first read"] = (new TestsTooLate(), "only after a test", "before the first access"),
        ["an index from the packet"] = (new IndexFromPacket(), "for every value the index may have", "as an unsigned number"),
        ["a signed offset"] = (new SignedOffset(), "known upper and lower bound", "in an unsigned type"),
        ["a loop until something happens"] = (new WhileTrue(), "A loop must end", "i < 16 && condition"),
        ["a number as a pointer"] = (new NumberAsPointer(), "sees a plain number", "Helper.ProbeReadKernel"),
        ["an index beyond a local buffer"] = (new IndexBeyondLocal(), "inside the local", "mask the index"),
        ["a size larger than the buffer"] = (new SizeBeyondLocal(), "as many bytes as it is told", "at least as long as the size"),
        ["a write to a struct of the kernel"] = (new WritesKernel(), "read-only", "structs of the kernel can only be read"),
    };

    public static TheoryData<string> Mistakes => [.. s_mistakes.Keys];

    [KernelTheory]
    [MemberData(nameof(Mistakes))]
    public void Is_led_to_its_line_and_its_mend(string mistake)
    {
        var (program, rule, mend) = s_mistakes[mistake];
        var spec = ProgramCompiler.Compile(program);

        var rejection = Assert.Throws<VerifierException>(() => ProgramLoader.Load(spec).Dispose());

        Assert.Contains($"rule:   {rejection.Rule}", rejection.Message);
        Assert.Contains(rule, rejection.Rule);
        Assert.Contains(mend, rejection.Mend);
        Assert.EndsWith("MistakeTests.cs", rejection.Position!.Value.File);
        Assert.Contains("// the mistake", rejection.Position.Value.Text);
        Assert.DoesNotContain("old state", rejection.Message);
    }

    private sealed class NoBounds : XdpProgram
    {
        public override XdpAction Run(ref XdpContext context) => context.Data[12] == 8 ? XdpAction.Drop : XdpAction.Pass; // the mistake
    }

    private sealed class OneByteShort : XdpProgram
    {
        public override XdpAction Run(ref XdpContext context)
        {
            var data = context.Data;
            if (data + 13 > context.DataEnd)
            {
                return XdpAction.Pass;
            }

            return *(ushort*)(data + 12) == 8 ? XdpAction.Drop : XdpAction.Pass; // the mistake
        }
    }

    private sealed class ComparesAnother : XdpProgram
    {
        public override XdpAction Run(ref XdpContext context)
        {
            var data = context.Data;
            if (data + 64 > context.DataEnd)
            {
                return XdpAction.Pass;
            }

            var options = data + (data[14] & 15);
            return options[60] == 8 ? XdpAction.Drop : XdpAction.Pass; // the mistake
        }
    }

    private sealed class NoNullTest : XdpProgram
    {
        private readonly HashMap<uint, ulong> _counts = new(4, "counts");

        public override XdpAction Run(ref XdpContext context)
        {
            _counts.Find(1)++; // the mistake
            return XdpAction.Pass;
        }
    }

    private sealed class TestsTooLate : XdpProgram
    {
        private readonly HashMap<uint, ulong> _counts = new(4, "counts");

        public override XdpAction Run(ref XdpContext context)
        {
            ref var count = ref _counts.Find(context.IngressInterface);
            var before = count; // the mistake
            if (Unsafe.IsNullRef(ref count))
            {
                return XdpAction.Pass;
            }

            return before > 10 ? XdpAction.Drop : XdpAction.Pass;
        }
    }

    [InlineArray(16)]
    private struct Table
    {
        private uint _first;
    }

    private sealed class IndexFromPacket : XdpProgram
    {
        private readonly ArrayMap<Table> _tables = new(1, "tables");

        public override XdpAction Run(ref XdpContext context)
        {
            var data = context.Data;
            ref var table = ref _tables.Find(0);
            if (data + 20 > context.DataEnd || Unsafe.IsNullRef(ref table))
            {
                return XdpAction.Pass;
            }

            return Unsafe.Add(ref Unsafe.As<Table, uint>(ref table), data[14]) == 1 ? XdpAction.Drop : XdpAction.Pass; // the mistake
        }
    }

    private sealed class SignedOffset : XdpProgram
    {
        public override XdpAction Run(ref XdpContext context)
        {
            var data = context.Data;
            if (data + 20 > context.DataEnd)
            {
                return XdpAction.Pass;
            }

            var offset = *(int*)(data + 14);
            if (offset > 64 || data + offset + 1 > context.DataEnd) // the mistake
            {
                return XdpAction.Pass;
            }

            return data[offset] == 8 ? XdpAction.Drop : XdpAction.Pass;
        }
    }

    private sealed class WhileTrue : XdpProgram
    {
        public override XdpAction Run(ref XdpContext context)
        {
            while (Helper.GetPrandomU32() != 7) // the mistake
            {
            }

            return XdpAction.Pass;
        }
    }

    private sealed class NumberAsPointer : XdpProgram
    {
        public override XdpAction Run(ref XdpContext context)
        {
            var p = (byte*)(nuint)Helper.GetPrandomU32();
            return *p == 1 ? XdpAction.Drop : XdpAction.Pass; // the mistake
        }
    }

    private sealed class IndexBeyondLocal : XdpProgram
    {
        public override XdpAction Run(ref XdpContext context)
        {
            var buffer = stackalloc byte[16];
            buffer[Helper.GetPrandomU32() & 31] = 1; // the mistake
            return buffer[3] == 1 ? XdpAction.Drop : XdpAction.Pass;
        }
    }

    private sealed class WritesKernel : RawTracepointProgram
    {
        public override string Tracepoint => "kfree_skb";

        public override void Run(ref RawTracepointContext context)
        {
            var skb = context.Pointer<byte>(0);
            *(skb + 4) = 1; // the mistake
        }
    }

    private sealed class SizeBeyondLocal : XdpProgram
    {
        public override XdpAction Run(ref XdpContext context)
        {
            var buffer = stackalloc byte[8];
            _ = Helper.GetCurrentComm(buffer, 16); // the mistake
            return buffer[0] == 1 ? XdpAction.Drop : XdpAction.Pass;
        }
    }

    private sealed class LoopToEnd : XdpProgram
    {
        public override XdpAction Run(ref XdpContext context)
        {
            var sum = 0u;
            for (var p = context.Data; p < context.DataEnd; p++)
            {
                sum += *p; // the mistake
            }

            return sum == 8 ? XdpAction.Drop : XdpAction.Pass;
        }
    }

    private sealed class LengthFromPacket : XdpProgram
    {
        public override XdpAction Run(ref XdpContext context)
        {
            var data = context.Data;
            if (data + 34 > context.DataEnd)
            {
                return XdpAction.Pass;
            }

            var length = *(ushort*)(data + 16);
            var end = data + length;
            if (end > context.DataEnd)
            {
                return XdpAction.Pass;
            }

            return *(end - 1) == 8 ? XdpAction.Drop : XdpAction.Pass; // the mistake
        }
    }
}
