from pairmill.cli import main

if __name__ == "__main__":
    main()
