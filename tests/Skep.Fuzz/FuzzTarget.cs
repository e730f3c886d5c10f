using Skep.Bpf.Maps;
using Skep.Bpf.Programming;

namespace Skep.Fuzz;

/// <summary>Programs that share maps, with the maps filled, ready for either engine. Each packet goes through all of them in order.</summary>
/// <param name="Name">Name on the command line.</param>
/// <param name="Programs">The programs.</param>
/// <param name="Maps">Their maps, bound.</param>
public sealed record FuzzTarget(string Name, IReadOnlyList<BpfProgram> Programs, IReadOnlyList<BpfMap> Maps) : IDisposable
{
    private const string Flows = "flows";

    /// <summary>Names of all targets.</summary>
    public static IReadOnlyList<string> Names { get; } = [.. EdgeScene.Variants.Keys, Flows];

    /// <summary>Makes a target; <paramref name="bind"/> gives each map storage.</summary>
    public static FuzzTarget Create(string name, TimeProvider time, Action<BpfMap> bind)
    {
        if (name == Flows)
        {
            var flows = FlowScene.Create(bind);
            return new FuzzTarget(name, flows.Programs, flows.Maps.All);
        }

        var edge = EdgeScene.Create(EdgeScene.Variants[name], time, bind);
        return new FuzzTarget(name, [edge.Program], edge.Maps.All);
    }

    /// <summary>Disposes of the maps.</summary>
    public void Dispose()
    {
        foreach (var map in Maps)
        {
            map.Dispose();
        }
    }
}
