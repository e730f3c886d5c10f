using Skep.Fuzz;

var options = FuzzOptions.Parse(args, out var problem);
if (options is null)
{
    Console.Error.WriteLine(problem);
    Console.Error.WriteLine(FuzzOptions.Usage);
    return 2;
}

try
{
    return FuzzTarget.Names.Where(n => options.Program is null || n == options.Program).All(Run) ? 0 : 1;
}
catch (Skep.Bpf.BpfException refused)
{
    // A verifier that rejects the program, or a kernel that may not be programmed.
    Console.Error.WriteLine(refused.Message);
    return 1;
}

bool Run(string name) => options.Engine == "twin" ? TwinFuzz.Run(name, options) : KernelFuzz.Run(name, options);
