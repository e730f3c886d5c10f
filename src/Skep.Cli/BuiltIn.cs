using Skep.Bpf.Programming;
using Skep.Edge;
using Skep.Filtering;
using Skep.Flows;

namespace Skep.Cli;

/// <summary>The kernel programs of the platform by name.</summary>
internal static class BuiltIn
{
    private static readonly OrderedDictionary<string, Func<BpfProgram>> s_programs = new(StringComparer.Ordinal)
    {
        ["edge"] = () => Edge(new EdgeOptions { RateLimit = new SourceRate(1000, 2000) }),
        ["edge-block"] = () => Edge(new EdgeOptions { Balance = false }),
        ["edge-limit"] = () => Edge(new EdgeOptions { BlockAddresses = false, BlockPrefixes = false, Balance = false, RateLimit = new SourceRate(1000, 2000) }),
        ["edge-balance"] = () => Edge(new EdgeOptions { BlockAddresses = false, BlockPrefixes = false }),
        ["edge-tc"] = () => EdgeAtTc(new EdgeOptions { RateLimit = new SourceRate(1000, 2000) }),
        ["flows-in"] = () => new FlowProgram(new FlowMaps(), FlowHook.Ingress),
        ["flows-out"] = () => new FlowProgram(new FlowMaps(), FlowHook.Egress),
        ["drops"] = () => new DropProgram(new KernelEventMaps("drop")),
        ["retransmits"] = () => new RetransmitProgram(new KernelEventMaps("rexmit")),
        ["states"] = () => new SocketStateProgram(new KernelEventMaps("sock")),
    };

    public static IReadOnlyCollection<string> Names => [.. s_programs.Keys];

    /// <summary>A fresh object of a program with all its stages; null when there is none of that name.</summary>
    public static BpfProgram? Create(string name) => s_programs.TryGetValue(name, out var create) ? create() : null;

    private static EdgeProgram Edge(EdgeOptions options) => new(new EdgeMaps(options), options);

    private static TcEdgeProgram EdgeAtTc(EdgeOptions options) => new(new EdgeMaps(options), options);
}
