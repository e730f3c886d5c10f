using Skep.Bpf;
using Skep.Bpf.Asm;
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

    /// <summary>Goes on only where the kernel can be programmed; for tests that do not use <see cref="KernelFactAttribute"/>.</summary>
    public static void Require() => Require(Obstacle is null, Obstacle ?? "");

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
