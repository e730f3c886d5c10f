using Skep.Bpf.Compiler;
using Skep.Bpf.Links;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;

namespace Skep.Samples.Programs;

/// <summary>Dissects UDP over IPv4 without options; the rest is left to the kernel.</summary>
public sealed unsafe class DissectPorts : FlowDissectorProgram
{
    private const byte Udp = 17;

    public override FlowDissectorVerdict Run(ref FlowDissectorContext context)
    {
        var keys = context.FlowKeys;

        // The verifier follows offsets that are well below 65536 only.
        var packet = context.Data + (keys->NetworkOffset & 0x1fff);
        if (packet + 28 > context.DataEnd || packet[0] != 0x45 || packet[9] != Udp)
        {
            return FlowDissectorVerdict.Continue;
        }

        keys->AddressProtocol = 0x0800;
        keys->Protocol = Udp;
        keys->TransportOffset = (ushort)(keys->NetworkOffset + 20);
        keys->SourceIp4 = *(uint*)(packet + 12);
        keys->DestinationIp4 = *(uint*)(packet + 16);
        keys->SourcePort = *(ushort*)(packet + 20);
        keys->DestinationPort = *(ushort*)(packet + 22);
        return FlowDissectorVerdict.Ok;
    }

    /// <summary>Attaches it to the network namespace of the calling thread.</summary>
    public Link Attach()
    {
        using var program = ProgramLoader.Load(ProgramCompiler.Compile(this));
        return NetnsLink.Attach(program);
    }
}
