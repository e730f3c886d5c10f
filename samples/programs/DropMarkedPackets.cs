using Skep.Bpf.Compiler;
using Skep.Bpf.Links;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;
using Skep.Engine;

namespace Skep.Samples.Programs;

/// <summary>Drops packets that carry a mark, at a hook of the firewall.</summary>
public sealed unsafe class DropMarkedPackets(uint mark) : NetfilterProgram
{
    private readonly uint _mark = mark;

    public Global<ulong> Dropped { get; } = new("dropped");

    public override NetfilterVerdict Run(ref NetfilterContext context)
    {
        if (context.Packet<Packet>()->Mark != _mark)
        {
            return NetfilterVerdict.Accept;
        }

        Interlocked.Increment(ref Dropped.Value);
        return NetfilterVerdict.Drop;
    }

    /// <summary>Attaches it in the network namespace of the calling thread, before the rules of iptables and nftables.</summary>
    public Link Attach()
    {
        using var program = ProgramLoader.Load(ProgramCompiler.Compile(this, KernelTarget.Running));
        return NetfilterLink.Attach(program, NetfilterFamily.Ip4, NetfilterHook.LocalOut, priority: -200);
    }

    /// <summary>What of <c>struct sk_buff</c> is read.</summary>
    [KernelStruct("sk_buff")]
    public struct Packet
    {
        public uint Mark;
    }
}
