using Skep.Bpf.Elf;
using Skep.Bpf.Compiler;
using Skep.Bpf.Links;
using Skep.Bpf.Maps;
using Skep.Bpf.Programming;
using Skep.Bpf.Programs;

namespace Skep.Samples.Programs;

/// <summary>Sums up the first argument of a USDT probe. Each place of the probe has a program of its own, in which the argument's place is a constant.</summary>
public sealed class SumProbeArgument(UsdtSite site, Global<long> sum) : UprobeProgram
{
    private readonly UsdtArgument _argument = site.Argument(0);
    private readonly Global<long> _sum = sum;

    public override string Section => "usdt";

    public override void Run(ref RegistersContext context) => Interlocked.Add(ref _sum.Value, _argument.Read(ref context));

    /// <summary>Attaches one to each place of the probe; a semaphore is counted up while it is attached.</summary>
    public static List<Link> Attach(string file, string provider, string name, Global<long> sum)
    {
        var links = new List<Link>();
        foreach (var site in ExecutableFile.Read(file).FindUsdt(provider, name))
        {
            using var program = ProgramLoader.Load(ProgramCompiler.Compile(new SumProbeArgument(site, sum)));
            links.Add(UprobeLink.Attach(program, site.Point));
        }

        return links;
    }
}
