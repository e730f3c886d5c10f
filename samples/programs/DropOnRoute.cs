using System.Net;
using Skep.Bpf.Compiler;
using Skep.Bpf.Links;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;

namespace Skep.Samples.Programs;

/// <summary>Counts the packets of a route, and drops UDP.</summary>
/// <param name="section"><c>lwt_in</c>, <c>lwt_out</c> or <c>lwt_xmit</c>.</param>
public sealed unsafe class DropOnRoute(string section) : LwtProgram
{
    public Global<ulong> Packets { get; } = new("packets");

    public override string Section { get; } = section;

    public override LwtAction Run(ref SkbContext context)
    {
        Interlocked.Increment(ref Packets.Value);
        var packet = context.Data;
        return packet + 20 <= context.DataEnd && packet[0] == 0x45 && packet[9] == 17 ? LwtAction.Drop : LwtAction.Ok;
    }

    /// <summary>Adds the route with the program; it goes with the link.</summary>
    public Link Attach(IPNetwork destination, int interfaceIndex)
    {
        using var program = ProgramLoader.Load(ProgramCompiler.Compile(this));
        return RouteLink.Attach(program, destination, interfaceIndex);
    }
}
