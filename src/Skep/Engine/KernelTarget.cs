using Skep.Bpf.Btf;
using Skep.Bpf.Compiler;
using Skep.Bpf.Features;

namespace Skep.Engine;

/// <summary>What the compiler may know of the running kernel.</summary>
public static class KernelTarget
{
    private static readonly Lazy<CompileTarget> s_running = new(Detect);

    /// <summary>The running kernel: its instruction set, and where its structs have their fields.</summary>
    public static CompileTarget Running => s_running.Value;

    private static CompileTarget Detect() => new()
    {
        Kernel = FeatureProbe.RunningKernel,
        IsaLevel = FeatureProbe.IsAvailable(KernelFeatures.Isa4) ? 4 : 3,
        KernelBtf = BtfFile.Kernel,
    };
}
