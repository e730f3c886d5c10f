using System.Runtime.InteropServices;
using Skep.Bpf;
using Skep.Bpf.Features;
using Skep.Engine;
using Skep.Resources;

namespace Skep.Agent;

/// <summary>Outcome of a check.</summary>
internal enum CheckResult
{
    Good,
    /// <summary>Something works less well.</summary>
    Degraded,
    /// <summary>The kernel engine does not work without it.</summary>
    Missing,
    /// <summary>Absent, and nothing needs it.</summary>
    Optional,
    /// <summary>Only root can find out.</summary>
    Unknown,
}

/// <summary>A check of the host.</summary>
internal sealed record HostFinding(string Name, CheckResult Result, string Finding, string Advice);

/// <summary>All checks.</summary>
internal sealed record HostReport(IReadOnlyList<HostFinding> Checks, string Summary)
{
    public bool IsHealthy => Checks.All(c => c.Result is CheckResult.Good or CheckResult.Optional or CheckResult.Unknown);
}

/// <summary>What the host offers to Skep.</summary>
internal static class HostCheck
{
    private static readonly Version s_floor = new(5, 15);

    // The first two groups decide; everything else in the table is optional.
    private static readonly HashSet<string> s_required = [KernelFeatures.Tc.Name, KernelFeatures.RingBuffer.Name, KernelFeatures.Isa3.Name, "LRU hash", "per-CPU array"];

    private static readonly Dictionary<string, string> s_degrades = new(StringComparer.Ordinal)
    {
        [KernelFeatures.KernelBtf.Name] = "no drop reasons, retransmits and TCP states: use a kernel with CONFIG_DEBUG_INFO_BTF",
        ["JIT compiler"] = "programs are interpreted, several times slower: sysctl net.core.bpf_jit_enable=1",
        [KernelFeatures.Xdp.Name] = "no blocking, rate limits and balancing",
        [KernelFeatures.XdpLink.Name] = "programs at XDP are exchanged by netlink; a crash of the agent leaves them until 'skep down'",
        [KernelFeatures.TcxLink.Name] = "flows are observed by clsact filters instead of links",
        [KernelFeatures.TypedTracepoints.Name] = "no drop reasons, retransmits and TCP states",
        [KernelFeatures.MapBatches.Name] = "large tables are read entry by entry",
        [KernelFeatures.MappedArrays.Name] = "no balancing: the connection clock is a mapped array",
        [KernelFeatures.AtomicFetch.Name] = "no blocking: its counters are exchanged atomically",
        ["LPM trie"] = "no blocking of prefixes",
        ["coarse clock"] = "no rate limits and blocks with an end",
    };

    public static HostReport Run()
    {
        List<HostFinding> checks = [System(), Privileges(), BpfFs(), .. FeatureProbe.All().Select(Feature), .. HostInterfaces.List().Where(i => !i.IsLoopback).Select(Edge)];
        var missing = checks.Count(c => c.Result == CheckResult.Missing);
        var degraded = checks.Count(c => c.Result == CheckResult.Degraded);
        return new HostReport(checks, missing > 0
            ? "The kernel engine does not work here: 'skep up' plays a capture through the twin engine."
            : degraded > 0 ? $"The kernel engine works; {degraded} features are degraded." : "All is well: the kernel engine works in full.");
    }

    /// <summary>The features of the kernel, for the API.</summary>
    public static IReadOnlyList<Api.FeatureView> Features() =>
        [.. FeatureProbe.All().Select(f => new Api.FeatureView(f.Name, f.Available, f.MinimumKernel.ToString(), f.Use, f.Reason))];

    private static HostFinding Edge(HostInterface device)
    {
        var choice = HookChoice.For(device, EdgeHook.Auto);
        return new($"edge on {device.Name}", CheckResult.Good, choice.Kind == HookKind.Xdp ? "xdp" : "tc", choice.Why);
    }

    private static HostFinding System()
    {
        var version = FeatureProbe.RunningKernel;
        var finding = $"Linux {version} {RuntimeInformation.OSArchitecture.ToString().ToLowerInvariant()}";
        return version >= s_floor
            ? new("kernel", CheckResult.Good, finding, "")
            : new("kernel", CheckResult.Degraded, finding, $"older than {s_floor}, which is the oldest Skep is made for");
    }

    private static HostFinding Privileges() => Environment.IsPrivilegedProcess
        ? new("privileges", CheckResult.Good, "root", "")
        : new("privileges", CheckResult.Missing, $"user {Environment.UserName}", "run it as root (sudo) to program the kernel; the checks below say what this user may do");

    private static HostFinding BpfFs() => BpfFileSystem.IsMounted(BpfFileSystem.DefaultPath)
        ? new("BPF file system", CheckResult.Good, BpfFileSystem.DefaultPath, "")
        : Environment.IsPrivilegedProcess
            ? new("BPF file system", CheckResult.Good, "not mounted", $"the agent mounts it at {BpfFileSystem.DefaultPath}")
            : new("BPF file system", CheckResult.Degraded, "not mounted", "mount -t bpf bpffs /sys/fs/bpf");

    private static HostFinding Feature(FeatureStatus feature)
    {
        if (feature.Available)
        {
            return new(feature.Name, s_required.Contains(feature.Name) || s_degrades.ContainsKey(feature.Name) ? CheckResult.Good : CheckResult.Optional, "available", feature.Use);
        }

        if (!Environment.IsPrivilegedProcess && feature.Reason.Contains("EPERM", StringComparison.Ordinal))
        {
            return new(feature.Name, CheckResult.Unknown, "not permitted to look", "ask again as root");
        }

        var why = feature.MissingByConfiguration ? feature.Reason : $"{feature.Reason}; needs kernel {feature.MinimumKernel}";
        return s_required.Contains(feature.Name)
            ? new(feature.Name, CheckResult.Missing, why, "the kernel engine needs it")
            : s_degrades.TryGetValue(feature.Name, out var loss)
                ? new(feature.Name, CheckResult.Degraded, why, loss)
                : new(feature.Name, CheckResult.Optional, why, feature.Use);
    }
}
