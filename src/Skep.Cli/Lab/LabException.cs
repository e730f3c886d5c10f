namespace Skep.Cli.Lab;

/// <summary>The lab itself could not do its work: a tool is missing, a command failed, a service did not start.</summary>
internal sealed class LabException(string message, Exception? inner = null) : Exception(message, inner);
