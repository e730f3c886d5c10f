using Skep.Bpf.Compiler;
using Skep.Bpf.Links;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;

namespace Skep.Samples.Programs;

/// <summary>Counts packets as they come in, and drops those that are too short for an Ethernet header.</summary>
public sealed unsafe class CountPackets : XdpProgram
{
    private const int EthernetHeader = 14;

    public PerCpuArrayMap<ulong> Packets { get; } = new(1, "packets");

    public override XdpAction Run(ref XdpContext context)
    {
        if (context.Data + EthernetHeader > context.DataEnd)
        {
            return XdpAction.Drop;
        }

        ref var count = ref Packets.Find(0);
        if (!System.Runtime.CompilerServices.Unsafe.IsNullRef(ref count))
        {
            count++;
        }

        return XdpAction.Pass;
    }

    /// <summary>Attaches it to an interface of the calling thread's network namespace.</summary>
    public Link Attach(int interfaceIndex)
    {
        using var program = ProgramLoader.Load(ProgramCompiler.Compile(this));
        return XdpLink.Attach(program, interfaceIndex);
    }
}
