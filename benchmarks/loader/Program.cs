using System.Diagnostics;
using Skep.Benchmarks;
using Skep.Benchmarks.Loader;
using Skep.Bpf.Btf;
using Skep.Bpf.Elf;

// The kernel's types first, in a process that has opened nothing; then every object in this process, warm, and by a whole process each,
// bpftool's beside it. CPU time, so that others who want the processor do not count.
var rows = new List<BenchmarkRow>();
var memory = GC.GetAllocatedBytesForCurrentThread();
var began = ThreadClock.Nanoseconds;
var types = BtfFile.Kernel ?? throw new InvalidOperationException("this kernel has no types (CONFIG_DEBUG_INFO_BTF)");
rows.Add(new("types of the kernel", "open, cold", "ms", (ThreadClock.Nanoseconds - began) / 1e6, null, null));
_ = types.FindField("sk_buff", "len");
rows.Add(new("types of the kernel", "open and find a field, cold", "ms", (ThreadClock.Nanoseconds - began) / 1e6, null, null));
rows.Add(new("types of the kernel", "managed memory", "MB", (GC.GetAllocatedBytesForCurrentThread() - memory) / 1e6, null, null));

using var folder = new Workplace();
var objects = folder.Objects();
foreach (var path in objects)
{
    var name = Path.GetFileName(path);
    var bpftool = folder.Bpftool(path);
    if (bpftool is null)
    {
        Console.Error.WriteLine($"{name}: bpftool does not load it, so there is nothing to compare with");
        continue;
    }

    rows.Add(new(name, "load, in process, warm", "ms", InProcess(path), bpftool, "bpftool, whole process"));
    rows.Add(new(name, "load, whole process", "ms", folder.Skep(path), bpftool, "bpftool, whole process"));
}

BenchmarkRow.Publish(rows, args);
return 0;

static double InProcess(string path)
{
    const int Rounds = 15;
    var best = double.MaxValue;
    for (var i = 0; i < Rounds; i++)
    {
        var before = ThreadClock.Nanoseconds;
        using (var loaded = ObjectSpec.Read(path).Load())
        {
            if (!loaded.Succeeded)
            {
                throw new InvalidOperationException($"{path} does not load: {loaded.Programs.Select(p => p.Error).First(e => e is not null)}");
            }
        }

        best = Math.Min(best, (ThreadClock.Nanoseconds - before) / 1e6);
    }

    return best;
}
