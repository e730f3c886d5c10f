using Skep.Bpf.Compiler;
using Skep.Bpf.Links;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;

namespace Skep.Samples.Programs;

/// <summary>Counts the bytes a control group sends, and drops UDP to one port.</summary>
/// <param name="blockedPort">Destination port, network byte order.</param>
public sealed unsafe class CountSentBytes(ushort blockedPort) : CgroupSkbProgram
{
    private readonly ushort _blockedPort = blockedPort;

    public Global<ulong> Bytes { get; } = new("bytes");

    public override string Section => "cgroup_skb/egress";

    public override CgroupVerdict Run(ref SkbContext context)
    {
        // The packet begins at the IP header. Version and length of an IPv4 header without options are 0x45, 17 is UDP.
        var packet = context.Data;
        if (packet + 28 <= context.DataEnd && packet[0] == 0x45 && packet[9] == 17 && *(ushort*)(packet + 22) == _blockedPort)
        {
            return CgroupVerdict.Refuse;
        }

        Interlocked.Add(ref Bytes.Value, context.Length);
        return CgroupVerdict.Allow;
    }

    public Link Attach(string cgroup)
    {
        using var program = ProgramLoader.Load(ProgramCompiler.Compile(this));
        return CgroupLink.Attach(program, cgroup);
    }
}
