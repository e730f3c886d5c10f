using Skep.Fuzz;

// The exit code by which test drivers know a skip.
const int Skipped = 77;

var options = FuzzOptions.Parse(args, out var problem);
if (options is null)
{
    Console.Error.WriteLine(problem);
    Console.Error.WriteLine(FuzzOptions.Usage);
    return 2;
}

if (options.Engine == "il")
{
    return IlFuzz.Run(options) ? 0 : 1;
}

try
{
    if (options.Engine == "verify")
    {
        return VerifyFuzz.Run(options) ? 0 : 1;
    }

    if (options.Engine == "programs")
    {
        return ProgramFuzz.Run(options) ? 0 : 1;
    }

    return options.Names.Where(n => options.Program is null || n == options.Program).All(Run) ? 0 : 1;
}
catch (Skep.Bpf.BpfException refused)
{
    Console.Error.WriteLine(refused.Message);

    // Without privileges there is nothing to compare with: skipped, unless the kernel is required. A rejected program is a failure everywhere.
    return refused.ErrorNumber == Skep.Bpf.Errno.Permission && Environment.GetEnvironmentVariable("SKEP_REQUIRE_KERNEL") != "1" ? Skipped : 1;
}

bool Run(string name) => options.Engine switch
{
    "twin" => TwinFuzz.Run(name, options),
    "kernel" => KernelFuzz.Run(name, options),
    _ => FileFuzz.Run(name, options),
};
