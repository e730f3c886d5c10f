using System.Net;
using System.Net.Sockets;
using Skep.Bpf.Compiler;
using Skep.Bpf.Links;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;

namespace Skep.Samples.Programs;

/// <summary>Chooses among UDP sockets on one port by the first byte of the datagram.</summary>
public sealed unsafe class ChooseByFirstByte : SkReuseportProgram
{
    private const int UdpHeader = 8;

    public ReuseportSockArray Sockets { get; } = new(2, "sockets");

    public override SkVerdict Run(ref SkReuseportContext context)
    {
        var packet = context.Data;
        if (packet + UdpHeader + 1 > context.DataEnd)
        {
            return SkVerdict.Drop;
        }

        uint index = (uint)packet[UdpHeader] & 1;
        return Sockets.Select(ref context, in index) == 0 ? SkVerdict.Pass : SkVerdict.Drop;
    }

    /// <summary>Attaches it to sockets that are bound to the same port with SO_REUSEPORT.</summary>
    public Link Attach(Socket even, Socket odd)
    {
        using var program = ProgramLoader.Load(ProgramCompiler.Compile(this));
        Sockets.Set(0, even.SafeHandle);
        Sockets.Set(1, odd.SafeHandle);
        return SocketLink.Attach(program, even);
    }
}
