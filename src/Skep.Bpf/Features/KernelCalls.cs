using System.Reflection;
using Skep.Bpf.Asm;
using Skep.Bpf.Btf;
using Skep.Bpf.Programming;

namespace Skep.Bpf.Features;

/// <summary>What of the kernel the methods of this library call: helpers by their numbers, kernel functions by their names, each with its first kernel.</summary>
internal static class KernelCalls
{
    private const BindingFlags Methods = BindingFlags.Instance | BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DeclaredOnly;

    // The oldest kernel we support has what says nothing.
    private const string Floor = "5.15";

    /// <summary>A feature for each helper and kernel function, once.</summary>
    internal static IReadOnlyList<KernelFeature> All()
    {
        var features = new SortedDictionary<string, KernelFeature>(StringComparer.Ordinal);
        foreach (var method in typeof(KernelCalls).Assembly.GetTypes().SelectMany(static type => type.GetMethods(Methods)))
        {
            if (method.GetCustomAttribute<KernelHelperAttribute>() is { } helper)
            {
                var name = HelperNames.Of(helper.Id);
                Add(features, name, helper.Since, method, Probes.HelperCall(name["bpf_".Length..]));
            }
            else if (method.GetCustomAttribute<KernelFunctionAttribute>() is { } function)
            {
                Add(features, function.Name, function.Since, method, Probes.Btf(function.Name, BtfKind.Function));
            }
        }

        return [.. features.Values];
    }

    private static void Add(SortedDictionary<string, KernelFeature> features, string name, string since, MethodInfo method, Func<BpfToken?, string?> probe)
    {
        var version = Version.Parse(since.Length == 0 ? Floor : since);
        var use = $"{method.DeclaringType!.Name.Split('`')[0]}.{method.Name}";
        if (!features.TryGetValue(name, out var known) || known.MinimumKernel > version)
        {
            features[name] = new KernelFeature(name, version, known?.Use ?? use, probe);
        }
    }
}
