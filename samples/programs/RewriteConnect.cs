using Skep.Bpf.Compiler;
using Skep.Bpf.Links;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;

namespace Skep.Samples.Programs;

/// <summary>Sends TCP connections for a service address to a backend. The client never notices.</summary>
/// <param name="service">Address of the service, network byte order.</param>
/// <param name="backend">Address of the backend, network byte order.</param>
/// <param name="port">Port of the backend, network byte order.</param>
public sealed class RewriteConnect(uint service, uint backend, ushort port) : CgroupSockAddrProgram
{
    private readonly uint _service = service, _backend = backend, _port = port;

    public Global<ulong> Rewritten { get; } = new("rewritten");

    public override string Section => "cgroup/connect4";

    public override CgroupVerdict Run(ref CgroupSockAddrContext context)
    {
        if (context.UserIp4 == _service && context.Protocol == 6)
        {
            context.UserIp4 = _backend;
            context.UserPort = _port;
            Interlocked.Increment(ref Rewritten.Value);
        }

        return CgroupVerdict.Allow;
    }

    /// <summary>Attaches it to a control group, given by its directory.</summary>
    public Link Attach(string cgroup)
    {
        using var program = ProgramLoader.Load(ProgramCompiler.Compile(this));
        return CgroupLink.Attach(program, cgroup);
    }
}
