using System.Net;
using System.Net.Sockets;
using Skep.Bpf.Compiler;
using Skep.Bpf.Links;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;

namespace Skep.Samples.Programs;

/// <summary>Gives connections to a range of ports to one listener, which is bound to another port or address.</summary>
public sealed unsafe class SteerPorts(ushort first, ushort last) : SkLookupProgram
{
    private readonly uint _first = first, _last = last;

    public SockMap Listener { get; } = new(1, "listener");

    public override SkVerdict Run(ref SkLookupContext context)
    {
        if (context.Protocol != 6 || context.LocalPort < _first || context.LocalPort > _last)
        {
            return SkVerdict.Pass;
        }

        uint index = 0;
        var socket = Listener.Find(in index);
        if (socket == null)
        {
            return SkVerdict.Drop;
        }

        var status = context.Assign(socket, 0);
        SockMap.Release(socket);
        return status == 0 ? SkVerdict.Pass : SkVerdict.Drop;
    }

    /// <summary>Attaches it to the network namespace of the calling thread.</summary>
    public Link Attach(Socket listener)
    {
        using var program = ProgramLoader.Load(ProgramCompiler.Compile(this));
        Listener.Set(0, listener.SafeHandle);
        return NetnsLink.Attach(program);
    }
}
