using Skep.Bpf.Asm;
using Skep.Bpf.Compiler;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;

namespace Skep.Bpf.Tests.Compiler;

public unsafe class DeadSpillTests
{
    [Fact]
    public void What_is_computed_in_two_steps_and_kept_on_the_stack_is_stored_once()
    {
        var spec = ProgramCompiler.Compile(new Crowded());
        var stored = new Dictionary<short, int>();
        var stores = 0;
        for (var slot = 0; slot < spec.Instructions.Count; slot++)
        {
            var i = spec.Instructions[slot];
            if (i is { Class: OpCodes.ClassStx, Dst: 10 })
            {
                Assert.False(stored.ContainsKey(i.Offset), $"what slot {stored.GetValueOrDefault(i.Offset)} stores is replaced in slot {slot}, and nobody read it:\n{Disassembler.Disassemble(spec)}");
                stored[i.Offset] = slot;
                stores++;
            }
            else if (i is { Class: OpCodes.ClassLdx, Src: 10 })
            {
                stored.Remove(i.Offset);
            }
            else if (i.Class is OpCodes.ClassJmp or OpCodes.ClassJmp32 && (i.Code & 0xF0) != OpCodes.Call)
            {
                stored.Clear();
            }
        }

        Assert.InRange(stores, 8, 32);
    }

    private sealed class Crowded : XdpProgram
    {
        public override XdpAction Run(ref XdpContext context)
        {
            // No register keeps its value over a call, but for four; each difference is a copy and a subtraction.
            ulong a = context.RxQueue, b = context.IngressInterface;
            var (c, d, e, f, g, h) = (a - b, b - a, (a << 1) - b, (b << 1) - a, (a << 2) - b, (b << 2) - a);
            var (i, j, k, l) = (c - d, d - e, e - f, f - g);
            var now = Helper.KtimeGetNs();
            var sum = a ^ (b * 3) ^ (c * 5) ^ (d * 7) ^ (e * 9) ^ (f * 11) ^ (g * 13) ^ (h * 15) ^ (i * 17) ^ (j * 19) ^ (k * 21) ^ (l * 23);
            return (sum ^ now) != Helper.KtimeGetNs() ? XdpAction.Pass : XdpAction.Drop;
        }
    }
}
