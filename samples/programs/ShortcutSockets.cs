using System.Net;
using System.Net.Sockets;
using Skep.Bpf.Compiler;
using Skep.Bpf.Links;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;

namespace Skep.Samples.Programs;

/// <summary>What is sent on one of two sockets appears in the receive queue of the other, past TCP and IP.</summary>
public sealed class ShortcutSockets : SkMsgProgram
{
    public SockHash<uint> Sockets { get; } = new(2, "sockets");

    public override SkVerdict Run(ref SkMsgContext context)
    {
        // The map's key is the local port; the remote port stands in network byte order.
        var peer = System.Buffers.Binary.BinaryPrimitives.ReverseEndianness(context.RemotePort);
        return Sockets.Redirect(ref context, in peer, SocketQueue.Ingress);
    }

    /// <summary>Attaches it to the two ends of a connection of this host.</summary>
    public Link Attach(Socket one, Socket other)
    {
        using var program = ProgramLoader.Load(ProgramCompiler.Compile(this));
        var link = SocketMapLink.Attach(program, Sockets);
        Sockets.Set((uint)((IPEndPoint)one.LocalEndPoint!).Port, one.SafeHandle);
        Sockets.Set((uint)((IPEndPoint)other.LocalEndPoint!).Port, other.SafeHandle);
        return link;
    }
}
