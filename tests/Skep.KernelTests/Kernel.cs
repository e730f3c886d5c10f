using Skep.Bpf;
using Skep.Bpf.Asm;
using Skep.Bpf.Features;
using Skep.Bpf.Programs;

namespace Skep.KernelTests;

/// <summary>
/// Whether tests may program this kernel. A test that needs it and cannot have it is skipped with the reason, and so counted;
/// with <c>SKEP_REQUIRE_KERNEL=1</c> it fails instead.
/// </summary>
internal static class Kernel
{
    private static readonly Lazy<string?> s_obstacle = new(FindObstacle);

    /// <summary>Why the kernel cannot be programmed here, or null when it can.</summary>
    public static string? Obstacle => s_obstacle.Value;

    public static bool IsRequired => Environment.GetEnvironmentVariable("SKEP_REQUIRE_KERNEL") == "1";

    // Left out of some kernels by configuration, or refused by a lock-down: everything else is expected of a kernel that is new enough.
    private static readonly HashSet<string> s_optional =
    [
        "fentry", "fexit", "fmod_ret", "LSM", "kprobe", "kprobe.multi", "freplace", "lirc_mode2", "netkit link", "sched_ext", "kernel BTF", "JIT compiler",
    ];

    /// <summary>Whether a kernel that is new enough for a feature may lack it all the same.</summary>
    public static bool MayLack(string feature) => s_optional.Contains(feature);

    /// <summary>
    /// Why a test that needs the feature is to be skipped, or null when it is to run: also on a kernel that should have the feature and has it not, where it then fails.
    /// </summary>
    public static string? ReasonToSkip(string name)
    {
        var feature = KernelFeatures.All.Concat(KernelFeatures.Calls).First(f => f.Name == name);
        var status = FeatureProbe.Get(feature);
        return status.Available || (status.MissingByConfiguration && !MayLack(name)) ? null : $"needs {name}, kernel {feature.MinimumKernel}: {status.Reason}";
    }

    /// <summary>Goes on only where the kernel can be programmed; for tests that do not use <see cref="KernelFactAttribute"/>.</summary>
    public static void Require() => Require(Obstacle is null, Obstacle ?? "there is no obstacle");

    /// <summary>Goes on only when the condition holds, else skips or fails with the reason.</summary>
    public static void Require(bool condition, string reason)
    {
        if (!condition && IsRequired)
        {
            Assert.Fail($"SKEP_REQUIRE_KERNEL=1, but: {reason}");
        }

        Assert.SkipUnless(condition, reason);
    }

    private static string? FindObstacle()
    {
        if (!OperatingSystem.IsLinux())
        {
            return "not Linux";
        }

        try
        {
            using var program = ProgramLoader.Load(new Assembler().Move(Register.R0, 2).Exit().Build("obstacle", ProgramType.Xdp));
            return null;
        }
        catch (BpfException e)
        {
            return $"the kernel cannot be programmed: {e.Message}";
        }
    }
}
