using Skep.Bpf.Asm;
using Skep.Bpf.Compiler;
using Skep.Bpf.Maps;

namespace Skep.KernelTests.Compiler.Language;

/// <summary><see cref="Interlocked"/> is the processor's own: fetching only where the old value is used.</summary>
public unsafe class AtomicTests
{
    [KernelFact]
    public void Every_operation_returns_what_the_clr_returns() =>
        WordsProgram.Check(() => new Every(), 60, static p => $"{p.State.Value.Signed} {p.State.Value.Unsigned} {p.State.Value.Wide} {p.State.Value.Large}");

    [KernelFact]
    public void A_result_that_is_not_used_is_not_fetched()
    {
        WordsProgram.Check(() => new Unused(), 30, static p => $"{p.State.Value.Signed} {p.State.Value.Unsigned} {p.State.Value.Wide} {p.State.Value.Large}");
        var atomics = ProgramCompiler.Compile(new Unused()).Instructions.Where(static i => (i.Code & 0xe0) == OpCodes.ModeAtomic && (i.Code & 7) == OpCodes.ClassStx).ToList();
        Assert.Equal(5, atomics.Count);
        Assert.DoesNotContain(atomics, static i => (i.Immediate & OpCodes.AtomicFetch) != 0);
    }

    public struct Shared
    {
        public long Wide;
        public ulong Large;
        public int Signed;
        public uint Unsigned;
    }

    private sealed class Every : WordsProgram
    {
        public readonly Global<Shared> State = new();

        protected override bool Compute(ulong* w)
        {
            ref var s = ref State.Value;
            w[10] = (ulong)Interlocked.Add(ref s.Signed, (int)w[0]);
            w[11] = Interlocked.Add(ref s.Unsigned, (uint)w[0]);
            w[12] = (ulong)Interlocked.Add(ref s.Wide, (long)w[1]);
            w[13] = Interlocked.Add(ref s.Large, w[1]);
            w[14] = (ulong)Interlocked.Increment(ref s.Signed);
            w[15] = Interlocked.Decrement(ref s.Unsigned);
            w[16] = Interlocked.Increment(ref s.Large);
            w[17] = (ulong)Interlocked.Exchange(ref s.Signed, (int)w[2]);
            w[18] = Interlocked.Exchange(ref s.Large, w[3]);
            w[19] = Interlocked.CompareExchange(ref s.Unsigned, (uint)w[4], (uint)w[5]);
            w[20] = (ulong)Interlocked.CompareExchange(ref s.Wide, (long)w[4], (long)w[12]);
            w[21] = (ulong)Interlocked.And(ref s.Signed, (int)w[6]);
            w[22] = Interlocked.Or(ref s.Unsigned, (uint)w[7]);
            w[23] = (ulong)Interlocked.And(ref s.Wide, (long)w[8]);
            w[24] = Interlocked.Or(ref s.Large, w[9]);
            w[25] = (ulong)Interlocked.Read(ref s.Wide);
            w[26] = (ulong)Volatile.Read(ref s.Signed);
            Volatile.Write(ref s.Unsigned, (uint)w[0]);
            return s.Signed > 0;
        }
    }

    private sealed class Unused : WordsProgram
    {
        public readonly Global<Shared> State = new();

        protected override bool Compute(ulong* w)
        {
            ref var s = ref State.Value;
            Interlocked.Add(ref s.Signed, (int)w[0]);
            Interlocked.Increment(ref s.Large);
            Interlocked.Decrement(ref s.Wide);
            Interlocked.And(ref s.Unsigned, (uint)w[1]);
            Interlocked.Or(ref s.Wide, (long)w[2]);
            return true;
        }
    }
}
