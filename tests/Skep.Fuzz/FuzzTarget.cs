using Skep.Bpf.Maps;
using Skep.Bpf.Programming;

namespace Skep.Fuzz;

/// <summary>A program with its maps filled, ready for either engine.</summary>
/// <param name="Name">Name on the command line.</param>
/// <param name="Program">The program.</param>
/// <param name="Maps">Its maps, bound.</param>
/// <param name="Scene">What owns the maps.</param>
public sealed record FuzzTarget(string Name, BpfProgram Program, IReadOnlyList<BpfMap> Maps, IDisposable Scene) : IDisposable
{
    /// <summary>Names of all targets.</summary>
    public static IReadOnlyList<string> Names { get; } = [.. EdgeScene.Variants.Keys];

    /// <summary>Makes a target; <paramref name="bind"/> gives each map storage.</summary>
    public static FuzzTarget Create(string name, TimeProvider time, Action<BpfMap> bind)
    {
        var scene = EdgeScene.Create(EdgeScene.Variants[name], time, bind);
        return new FuzzTarget(name, scene.Program, scene.Maps.All, scene);
    }

    /// <inheritdoc/>
    public void Dispose() => Scene.Dispose();
}
