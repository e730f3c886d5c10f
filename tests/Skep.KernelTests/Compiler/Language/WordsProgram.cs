using Skep.Bpf.Programming;

namespace Skep.KernelTests.Compiler.Language;

/// <summary>A program over the first 256 bytes of the packet, seen as 32 words: tests read some and write others.</summary>
public abstract unsafe class WordsProgram : XdpProgram
{
    public const int Bytes = 256;

    public sealed override XdpAction Run(ref XdpContext context)
    {
        var data = context.Data;
        if (data + Bytes > context.DataEnd)
        {
            return XdpAction.Drop;
        }

        return Compute((ulong*)data) ? XdpAction.Pass : XdpAction.Tx;
    }

    protected abstract bool Compute(ulong* w);

    /// <summary>On the CLR, in the interpreter and in the kernel.</summary>
    internal static void Check<T>(Func<T> create, int packets = 60, Func<T, string>? contents = null, int leastLevel = 1)
        where T : WordsProgram => Differential.Check(create, RandomPackets.Make(packets, Bytes), contents, leastLevel: leastLevel);
}
