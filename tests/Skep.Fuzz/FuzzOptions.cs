using System.Globalization;

namespace Skep.Fuzz;

/// <summary>What the command line asks for.</summary>
internal sealed record FuzzOptions(string Engine, long Count, ulong Seed, string? Program, string Directory, long Skip = 0, int Minutes = int.MaxValue)
{
    private const long MostPackets = 1_000_000_000;

    public const string Usage = """
        Skep.Fuzz twin   [--count N] [--seed S] [--program NAME] [--directory DIR]
        Skep.Fuzz kernel [--count N] [--seed S] [--program NAME] [--directory DIR]
        Skep.Fuzz files  [--count N] [--seed S] [--program NAME] [--directory DIR]
        Skep.Fuzz il     [--count N] [--seed S] [--skip N]
        Skep.Fuzz verify [--count N] [--seed S]
        Skep.Fuzz programs [--count N] [--seed S] [--program NAME] [--minutes M]

        twin    mutated packets through the programs in the process: none may throw or leave its frame
        il      mutated method bodies through the compiler: a program or a named error, nothing else, in bounded time and memory
        verify  mutated bytecode before the kernel's verifier and our own: ours accepts what the kernel accepts; nothing is attached (root)
        programs  random C# programs in CLR, bytecode interpreter and kernel: the same verdicts, bytes and map contents (root)
        kernel  the same packets through BPF_PROG_TEST_RUN and the twin: same verdicts, bytes and map contents (root)
        files   damaged files through a parser (elf, link, btf, pcap, pcapng): each is read, or refused by the documented exception

        --count      packets or files per program, 1 to 1000000000; 1000000 unless told otherwise, 100000 for kernel, verify and programs
        --seed       the same seed makes the same packets; 1 unless told otherwise
        --program    one program only; of the random ones of a seed every stage of its compilation is printed, too
        --skip       mutants of the seed that come before those that are tried: to go on where a run ended
        --minutes    how long random programs are tried at most
        --directory  where a packet that makes a difference is written as pcap, or a file as it is; the current one unless told otherwise
        """;

    /// <summary>What the engine can be run on.</summary>
    public IEnumerable<string> Names => Engine == "files" ? FileTarget.All.Select(t => t.Name) : FuzzTarget.Names;

    /// <summary>Reads the arguments; null and a reason when they make no sense.</summary>
    public static FuzzOptions? Parse(string[] arguments, out string problem)
    {
        problem = "Say 'twin', 'kernel', 'files', 'il', 'verify' or 'programs'.";
        if (arguments.Length == 0 || arguments[0] is not ("twin" or "kernel" or "files" or "il" or "verify" or "programs"))
        {
            return null;
        }

        var options = new FuzzOptions(arguments[0], arguments[0] is "kernel" or "verify" or "programs" ? 100_000 : 1_000_000, 1, null, ".");
        for (var i = 1; i < arguments.Length; i += 2)
        {
            if (i + 1 == arguments.Length)
            {
                problem = $"{arguments[i]} needs a value.";
                return null;
            }

            var value = arguments[i + 1];
            problem = $"'{value}' is no value for {arguments[i]}.";
            switch (arguments[i])
            {
                case "--count" when long.TryParse(value, CultureInfo.InvariantCulture, out var count) && count is > 0 and <= MostPackets:
                    options = options with { Count = count };
                    break;
                case "--seed" when ulong.TryParse(value, CultureInfo.InvariantCulture, out var seed):
                    options = options with { Seed = seed };
                    break;
                case "--skip" when options.Engine == "il" && long.TryParse(value, CultureInfo.InvariantCulture, out var skip) && skip >= 0:
                    options = options with { Skip = skip };
                    break;
                case "--minutes" when options.Engine == "programs" && int.TryParse(value, CultureInfo.InvariantCulture, out var minutes) && minutes > 0:
                    options = options with { Minutes = minutes };
                    break;
                case "--program" when options.Engine == "programs" || options.Names.Contains(value):
                    options = options with { Program = value };
                    break;
                case "--directory" when System.IO.Directory.Exists(value):
                    options = options with { Directory = value };
                    break;
                default:
                    return null;
            }
        }

        return options;
    }
}
