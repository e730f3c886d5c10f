using Skep.Bpf.Compiler;
using Skep.Bpf.Links;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;

namespace Skep.Samples.Programs;

/// <summary>Marks the packets that an interface sends.</summary>
public sealed class MarkPackets(uint mark) : TcProgram
{
    private readonly uint _mark = mark;

    public Global<ulong> Marked { get; } = new("marked");

    public override TcAction Run(ref TcContext context)
    {
        context.Mark = _mark;
        Interlocked.Increment(ref Marked.Value);
        return TcAction.Unspec;
    }

    /// <summary>Attaches it before the other programs of the interface.</summary>
    public Link Attach(int interfaceIndex)
    {
        using var program = ProgramLoader.Load(ProgramCompiler.Compile(this));
        return TcxLink.Attach(program, interfaceIndex, TcDirection.Egress, LinkAnchor.First);
    }
}
