using System.Net;
using System.Net.Sockets;
using Skep.Bpf.Compiler;
using Skep.Bpf.Links;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;

namespace Skep.Samples.Programs;

/// <summary>A relay between two connections: what one receives, the other sends, without a copy to a process.</summary>
public sealed class RelaySockets : SkSkbProgram
{
    public SockMap Sockets { get; } = new(2, "sockets");

    /// <summary>The port of the first socket, host byte order.</summary>
    public Global<uint> FirstPort { get; } = new("firstPort");

    public override string Section => "sk_skb/verdict";

    public override SkVerdict Run(ref SkbContext context) =>
        Sockets.Redirect(ref context, context.LocalPort == FirstPort.Value ? 1u : 0u, SocketQueue.Egress);

    public Link Attach(Socket one, Socket other)
    {
        using var program = ProgramLoader.Load(ProgramCompiler.Compile(this));
        FirstPort.Value = (uint)((IPEndPoint)one.LocalEndPoint!).Port;
        var link = SocketMapLink.Attach(program, Sockets);
        Sockets.Set(0, one.SafeHandle);
        Sockets.Set(1, other.SafeHandle);
        return link;
    }
}
