using System.Net;
using System.Net.Sockets;
using Skep.Bpf.Compiler;
using Skep.Bpf.Links;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;

namespace Skep.Samples.Programs;

/// <summary>A UDP socket receives only datagrams that begin with one byte; the others never wake the process.</summary>
public sealed unsafe class KeepMarkedDatagrams(byte first) : SocketFilterProgram
{
    private const uint UdpHeader = 8, All = uint.MaxValue;
    private readonly byte _first = first;

    public override uint Run(ref SkbContext context)
    {
        byte found;
        return context.LoadBytes(UdpHeader, &found, 1) == 0 && found == _first ? All : 0;
    }

    public Link Attach(Socket socket)
    {
        using var program = ProgramLoader.Load(ProgramCompiler.Compile(this));
        return SocketLink.Attach(program, socket);
    }
}
